"""`python -m componentrun.controller.schemacheck`: a process that checks documents against JSON Schemas."""

import sys

from componentrun.controller.schemacheck.worker import serve

serve(sys.stdin.buffer, sys.stdout.buffer)
