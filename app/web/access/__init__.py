"""Access to the web process: who may come in, what they may do, and what is known of how it goes.

    request ──► gate.AccessGate ── whose request is it? (authentication) may they? did their own page send it? is it small enough?
                    │                └─ no: one sentence, as JSON, or the page where one signs in
                    ├─ own pages: /login /logout (sign_in), /healthz /readyz /metrics (health), /status (status_page)
                    └─ the application of app/web/server.py

The threat model, and the test that shows each thing cannot be done, is in docs/security.md.
"""
