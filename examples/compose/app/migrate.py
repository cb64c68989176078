"""Makes the shop's table where there is none yet. stead runs it before the app, which starts only when it has succeeded."""

import os

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as database:
    database.execute("CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text NOT NULL)")
print("the table is there")
