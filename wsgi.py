"""The web server's entry: `gunicorn wsgi:app`. Settings come from the environment (docs/settings.md)."""

from app import create_app

app = create_app()
