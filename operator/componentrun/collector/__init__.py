"""The collector: turns what a run's containers print, and the run's life cycle, into events in Storage.

What comes in: pods and runs (watched), logs (from the log servers of the nodes, or over the Kubernetes API). What
goes out: event segments, each with the checkpoint to resume from, merged segments at the end of a run, and
`status.events` of a run once all of its events are in Storage.
Not here: how segments are stored (`componentrun.storage.events.segments`), redaction
(`componentrun.core.redact.redactor`), deletion of pods (`componentrun.controller`), and what every process has
(`componentrun.process`: probes, logging, the Kubernetes client).

Packages and modules, lowest first:

    readers             read the logs of containers, and parse lines into events
    events              write events to Storage, in segments with a checkpoint
    forward             send events from Storage to webhooks and OpenTelemetry
    runs                collect the events of each run
    settings, metrics
    app                 the process
"""
