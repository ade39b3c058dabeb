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
app.kubernetes.io/name: {{ include "componentrun.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
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

{{/* Label that distinguishes the pods of one shard from those of the others; takes the shard's number as text */}}
{{- define "componentrun.shardLabel" -}}
componentrun.dev/shard: {{ . | quote }}
{{- end -}}

{{/* Reference of the image of everything but the loader */}}
{{- define "componentrun.image" -}}
{{- $repository := required "\n\nimage.repository is not set: build the image with the project's Dockerfile, push it, and name it here,\n  e.g. --set image.repository=registry.example.com/componentrun\n" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Reference of the loader's image: beside the other one, and with its tag, unless it is named */}}
{{- define "componentrun.loaderImage" -}}
{{- $own := .Values.loader.image -}}
{{- $shared := required "\n\nloader.image.repository and image.repository are not set: build the images with the project's Dockerfile\n" (default .Values.image.repository $own.repository) -}}
{{- $repository := default (printf "%s-loader" $shared) $own.repository -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $repository $own.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default (default .Chart.AppVersion .Values.image.tag) $own.tag) -}}
{{- end -}}
{{- end -}}

{{/* Reference of the image for Spark: beside the other one, and with its tag, unless it is named */}}
{{- define "componentrun.sparkImage" -}}
{{- $own := .Values.maintenance.spark.image -}}
{{- $shared := required "\n\nmaintenance.spark.image.repository and image.repository are not set: build the images with the project's Dockerfile\n" (default .Values.image.repository $own.repository) -}}
{{- $repository := default (printf "%s-spark" $shared) $own.repository -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $repository $own.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default (default .Chart.AppVersion .Values.image.tag) $own.tag) -}}
{{- end -}}
{{- end -}}

{{/* A quantity as text: whole numbers of values files are floats to Helm, which writes large ones with an exponent */}}
{{- define "componentrun.number" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
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
What operator, collector, log servers and loader share; takes a dict with root, part ("operator"), module, values, env (a list), and

  replicas  of a Deployment, where they stand by for each other
  shards    more than 1: a StatefulSet of so many, each of which is told its number
  shard     number of this Deployment among several of the same part, as text
  everyNode true: a DaemonSet
  token     audience and path of a token of its own, as a dict
  certificates  some keys of a Secret as files, as a dict with secret, path and keys
  hostPath  a folder of the node, read-only, as a dict with path, user and group
  port      a port besides that of health and metrics, as a dict with name and number
  image     another image than that of most parts
  grace     seconds from SIGTERM to SIGKILL; a Service then sends no new connections any more, and a pod waits for that
  tmp       size limit of /tmp
*/}}
{{- define "componentrun.workload" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $shards := int (default 1 .shards) -}}
{{- $name := printf "%s-%s" (include "componentrun.fullname" $root) .part -}}
{{- $shardLabel := "" -}}
{{- if .shard }}{{ $shardLabel = include "componentrun.shardLabel" .shard }}{{ end -}}
apiVersion: apps/v1
kind: {{ if .everyNode }}DaemonSet{{ else if gt $shards 1 }}StatefulSet{{ else }}Deployment{{ end }}
metadata:
  name: {{ $name }}{{ with .shard }}-{{ . }}{{ end }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "componentrun.labels" (list $root .part) | nindent 4 }}
    {{- with $shardLabel }}
    {{- . | nindent 4 }}
    {{- end }}
spec:
  {{- if .everyNode }}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 10%
  {{- else if gt $shards 1 }}
  replicas: {{ $shards }}
  serviceName: {{ $name }}
  # They do not know each other: none waits for another.
  podManagementPolicy: Parallel
  {{- else }}
  replicas: {{ default 1 .replicas }}
  strategy:
    {{- if eq .part "operator" }}
    # One after another, and the same for any number: Helm could not turn RollingUpdate into Recreate when it is lowered to
    # one, since the API server keeps the defaults of the one and refuses them for the other. Two at a time do no harm.
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 0
      maxUnavailable: 1
    {{- else if eq .part "loader" }}
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
    {{- else }}
    # One at a time: a second one would do the same work again, harmlessly but for nothing.
    type: Recreate
    {{- end }}
  {{- end }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "componentrun.selectorLabels" (list $root .part) | nindent 6 }}
      {{- with $shardLabel }}
      {{- . | nindent 6 }}
      {{- end }}
  template:
    metadata:
      labels:
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "componentrun.labels" (list $root .part) | nindent 8 }}
        {{- with $shardLabel }}
        {{- . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .part }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ default 30 .grace }}
      securityContext:
        {{- if .hostPath }}
        runAsNonRoot: {{ ne (int .hostPath.user) 0 }}
        runAsUser: {{ int .hostPath.user }}
        runAsGroup: {{ int .hostPath.group }}
        seccompProfile:
          type: RuntimeDefault
        {{- else }}
        {{- include "componentrun.podSecurity" $root | nindent 8 }}
        {{- end }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . | quote }}
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
              {{- with $shardLabel }}
              {{- . | nindent 14 }}
              {{- end }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .part }}
          image: {{ default (include "componentrun.image" $root) .image }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: ["python3", "-m", {{ printf "componentrun.%s" .module | quote }}]
          env:
            - name: COMPONENTRUN_POD_IPS
              valueFrom:
                fieldRef:
                  fieldPath: status.podIPs
            {{- if eq .part "operator" }}
            - name: COMPONENTRUN_POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            - name: COMPONENTRUN_POD_UID
              valueFrom:
                fieldRef:
                  fieldPath: metadata.uid
            {{- end }}
            {{- if gt $shards 1 }}
            - name: COMPONENTRUN_COLLECTOR_SHARD
              valueFrom:
                fieldRef:
                  fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
            {{- end }}
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
            {{- with .port }}
            - name: {{ .name }}
              containerPort: {{ .number }}
            {{- end }}
          {{- if .grace }}
          lifecycle:
            preStop:
              sleep:
                seconds: 5
          {{- end }}
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
            {{- with .token }}
            - name: token
              mountPath: {{ dir .path }}
              readOnly: true
            {{- end }}
            {{- with .certificates }}
            - name: certificates
              mountPath: {{ .path }}
              readOnly: true
            {{- end }}
            {{- with .hostPath }}
            - name: logs
              mountPath: {{ .path }}
              readOnly: true
            {{- end }}
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: {{ default "1Gi" .tmp }}
        {{- with .token }}
        - name: token
          projected:
            sources:
              - serviceAccountToken:
                  audience: {{ .audience }}
                  path: {{ base .path }}
                  expirationSeconds: 3600
        {{- end }}
        {{- with .certificates }}
        - name: certificates
          secret:
            secretName: {{ .secret }}
            items:
              {{- range .keys }}
              - key: {{ . }}
                path: {{ . }}
              {{- end }}
        {{- end }}
        {{- with .hostPath }}
        - name: logs
          hostPath:
            path: {{ .path }}
            type: Directory
        {{- end }}
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
  namespace: {{ $namespace | quote }}
  labels:
    {{- include "componentrun.labels" (list $root $part) | nindent 4 }}
rules:
  {{- include $rules $root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $namespace | quote }}
  labels:
    {{- include "componentrun.labels" (list $root $part) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
    namespace: {{ $root.Release.Namespace | quote }}
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
    namespace: {{ $root.Release.Namespace | quote }}
{{- end }}
---
{{ include "componentrun.serviceAccount" (list $root $part (index $root.Values $part)) }}
{{- end -}}

{{/* Service account of a part; takes (list $ "operator" .Values.operator) */}}
{{- define "componentrun.serviceAccount" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "componentrun.fullname" $root }}-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "componentrun.labels" . | nindent 4 }}
  {{- with (index . 2).serviceAccount.annotations }}
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
  namespace: {{ $root.Release.Namespace | quote }}
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

{{/*
Certificate of a server, and the certificate authority that its callers trust; takes a dict with root, part, host, title,
secret and renewDays. The authority's private key is not stored, so nobody can sign another certificate. An upgrade keeps
a certificate for renewDays, then makes a new one; the callers trust the previous authority until the next renewal. Both
sides reload the files when they change.
*/}}
{{- define "componentrun.certificate" -}}
{{- $root := .root -}}
{{- $found := default dict (lookup "v1" "Secret" $root.Release.Namespace .secret) -}}
{{- $data := default dict $found.data -}}
{{- $issued := int64 (dig "metadata" "annotations" "componentrun.dev/issued" "0" $found) -}}
{{- $now := int64 (now | unixEpoch) -}}
{{- if or (not (hasKey $data "tls.key")) (gt (sub $now $issued) (mul (int64 .renewDays) 86400)) -}}
{{- $authority := genCA .title 3650 -}}
{{- $certificate := genSignedCert .host nil (list .host) 3650 $authority -}}
{{- $trusted := $authority.Cert -}}
{{- if hasKey $data "ca.crt" -}}
{{- $end := "-----END CERTIFICATE-----" -}}
{{- $trusted = printf "%s%s%s\n" $trusted (index (splitList $end (b64dec (index $data "ca.crt"))) 0) $end -}}
{{- end -}}
{{- $issued = $now -}}
{{- $data = dict "ca.crt" (b64enc $trusted) "tls.crt" (b64enc $certificate.Cert) "tls.key" (b64enc $certificate.Key) -}}
{{- end -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .secret }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "componentrun.labels" (list $root .part) | nindent 4 }}
  annotations:
    componentrun.dev/issued: {{ $issued | toString | quote }}
type: kubernetes.io/tls
data:
  ca.crt: {{ index $data "ca.crt" }}
  tls.crt: {{ index $data "tls.crt" }}
  tls.key: {{ index $data "tls.key" }}
{{- end -}}

{{/*
The right to ask whose token is shown; takes a dict with root, part and rules (a template's name). What a token says is
asked of the API server for the whole cluster: there is no narrower right.
*/}}
{{- define "componentrun.tokenReviews" -}}
{{- $name := printf "%s-%s" (include "componentrun.fullname" .root) .part -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- include "componentrun.labels" (list .root .part) | nindent 4 }}
rules:
  {{- include .rules .root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "componentrun.labels" (list .root .part) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
    namespace: {{ .root.Release.Namespace | quote }}
{{- end -}}
