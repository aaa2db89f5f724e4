"""Statistics over HTTP: what :class:`mloscope.app.statistics.queries.Statistics` answers, as JSON, tables and bytes.

Every route lies under ``/api/v1/runs/{run}`` and takes ``corpus`` and ``split``; ``format`` gives a table where there is one.
"""
