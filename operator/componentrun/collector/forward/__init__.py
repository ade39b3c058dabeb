"""Forwards events from Storage to others: to a webhook as CloudEvents, to an OTLP collector as logs.

What comes in: events that were just written to Storage. What goes out: HTTP requests. Storage is what counts: a
receiver that is slow or away delays nothing, and what it has not got yet is read from Storage again, also by the next
collector. Done elsewhere: which receivers there are (`spec.events` of a Storage), what an event is
(`storage.events.events`).

`forwarder` knows all lanes; a `lane` is one receiver of one Storage, `backlog` what it has still to send, `cloudevents`
and `otlp` what the requests look like, `sender` how they are made.
"""
