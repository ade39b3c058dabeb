"""The collector: what a run's containers print, and what becomes of the run, as events in Storage.

What comes in: pods and runs (watched), logs (followed over the Kubernetes API). What goes out: event segments, each
with the checkpoint to resume from, and `status.events` of a run once all of its events are in Storage.
Done elsewhere: how segments are stored (`componentrun.storage.events.segments`), taking secrets out of
text (`componentrun.core.redact.redactor`), deleting pods (`componentrun.controller`), what
every process has (`componentrun.process`: probes, log lines of its own, the Kubernetes client).

Packages and modules, lowest first:

    readers             from the logs of containers to lines, and from lines to the contents of events
    events              from the contents of events to segments in Storage
    forward             from Storage to other receivers
    runs                the runs whose events are being collected
    settings, metrics
    app                 the process
"""
