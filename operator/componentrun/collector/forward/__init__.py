"""Forwards events from Storage to others: to a webhook as CloudEvents, to an OTLP collector as logs.

What comes in: events that were just written to Storage. What goes out: HTTP requests. Storage is what counts: a
receiver that is slow or away delays nothing, and what it has not got yet is read from Storage again, also by the next
collector. Done elsewhere: which receivers there are (`spec.events` of a Storage), what an event is
(`storage.events.events`).

Modules, lowest first:

    receivers      what is sent to, from `spec.events` of a Storage
    cloudevents, otlp, message   the forms of requests
    sender         sends requests, and says what an answer means
    backlog        events of one subscription that are still to be sent
    triage         finds the event of a batch that a receiver does not accept
    delivery       sends a backlog, in order
    subscription   one receiver of one Storage
    forwarder      all subscriptions
"""
