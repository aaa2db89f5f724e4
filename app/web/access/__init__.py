"""The doors of the web process: who may come in, what they may do, and what is known of how it goes.

    request ──► guards.Doors ── whose request is it? (authentication) may they? did their own page send it? is it small enough?
                    │                └─ no: one sentence, as JSON, or the page where one signs in
                    ├─ pages: /login /logout /status /healthz /readyz /metrics
                    └─ the application of app/web/server.py

The threat model, and the test that shows each thing cannot be done, is in docs/security.md.
"""
