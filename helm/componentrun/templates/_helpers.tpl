{{/* Names */}}
{{- define "componentrun.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "componentrun.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "componentrun.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "componentrun.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels; takes (list $ "operator") */}}
{{- define "componentrun.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "componentrun.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "componentrun.labels" -}}
{{- $root := index . 0 -}}
{{ include "componentrun.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: componentrun
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Reference of the image; of the operator, the collector, maintenance and the agents alike */}}
{{- define "componentrun.image" -}}
{{- $repository := required "\n\nimage.repository is not set: build the image with the project's Dockerfile, push it, and name it here,\n  e.g. --set image.repository=registry.example.com/componentrun\n" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The restricted pod security standard, and a read-only root */}}
{{- define "componentrun.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "componentrun.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end -}}

{{/*
What operator and collector share; takes a dict with root, part ("operator"), module, values, env (a list), replicas where
they stand by for each other, and for one of several shards its number as text.
*/}}
{{- define "componentrun.deployment" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $shard := .shard -}}
{{- $name := printf "%s-%s" (include "componentrun.fullname" $root) .part -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}{{ with $shard }}-{{ . }}{{ end }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "componentrun.labels" (list $root .part) | nindent 4 }}
spec:
  replicas: {{ default 1 .replicas }}
  strategy:
    # One at a time: a second one would do the same work again, harmlessly but for nothing.
    type: {{ ternary "RollingUpdate" "Recreate" (gt (int (default 1 .replicas)) 1) }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "componentrun.selectorLabels" (list $root .part) | nindent 6 }}
      {{- with $shard }}
      componentrun.dev/shard: {{ . | quote }}
      {{- end }}
  template:
    metadata:
      labels:
        {{- with $shard }}
        componentrun.dev/shard: {{ . | quote }}
        {{- end }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "componentrun.labels" (list $root .part) | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .part }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext:
        {{- include "componentrun.podSecurity" $root | nindent 8 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if gt (int (default 1 .replicas)) 1 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "componentrun.selectorLabels" (list $root .part) | nindent 14 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .part }}
          image: {{ include "componentrun.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: ["python3", "-m", {{ printf "componentrun.%s" .module | quote }}]
          env:
            - name: COMPONENTRUN_POD_IPS
              valueFrom:
                fieldRef:
                  fieldPath: status.podIPs
            {{- range $variable := .env }}
            - name: COMPONENTRUN_{{ $variable.name }}
              value: {{ $variable.value | toString | quote }}
            {{- end }}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: http
              containerPort: 8080
          startupProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /readyz
              port: http
            periodSeconds: 2
            timeoutSeconds: 5
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "componentrun.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 1Gi
{{- end -}}

{{/* Rights of a part, in all namespaces or in the listed ones; takes a dict with root, part and rules (a template's name) */}}
{{- define "componentrun.rbac" -}}
{{- $root := .root -}}
{{- $part := .part -}}
{{- $rules := .rules -}}
{{- $name := printf "%s-%s" (include "componentrun.fullname" $root) .part -}}
{{- if $root.Values.namespaces }}
{{- range $namespace := $root.Values.namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels:
    {{- include "componentrun.labels" (list $root $part) | nindent 4 }}
rules:
  {{- include $rules $root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels:
    {{- include "componentrun.labels" (list $root $part) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- else }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- include "componentrun.labels" (list $root $part) | nindent 4 }}
rules:
  {{- include $rules $root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "componentrun.labels" (list $root $part) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "componentrun.labels" (list $root $part) | nindent 4 }}
  {{- with (index $root.Values $part).serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{/* Service for the metrics of a part; takes (list $ "operator") */}}
{{- define "componentrun.service" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "componentrun.fullname" $root }}-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "componentrun.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector:
    {{- include "componentrun.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: 8080
      targetPort: http
{{- end -}}
