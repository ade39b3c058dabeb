"""Forwards events from Storage: to a webhook as CloudEvents, and to an OpenTelemetry Collector as logs.

Input: news that a segment is in Storage. Output: HTTP requests. Every event is read back from Storage when it is its
turn, so a slow or unavailable receiver delays nothing, and the next collector continues from there. Not here: the
configuration of receivers (`spec.events` of a Storage) and the form of an event (`storage.events.events`).

Modules, lowest first:

    message                an event and its run
    cloudevents, otlp      the form of requests
    sender                 sends requests, and evaluates answers
    receivers              the receivers in `spec.events` of a Storage
    backlog                how far the events of one run were sent
    triage                 finds the event of a batch that a receiver fails on
    delivery               sends a batch until each event is accepted or a dead letter
    subscription           one receiver of one Storage
    forwarder              all subscriptions
"""
