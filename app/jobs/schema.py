"""The tables of the job records, the same on SQLite and PostgreSQL.

pattern_jobs          a row for each training: what was asked, how far it is, how it ended
pattern_job_events    a row for each event of a training, numbered from 1
pattern_trials        a row for each trial of a search that has ended
pattern_promotions    a row for each training whose version is promoted only if it is better
pattern_finishes      a row for each search whose best trial so far is wanted
pattern_leases        a row for each training that runs: which process runs it, and until when nobody else may
pattern_asked         counts of what a version was asked in some minutes, an hour or a day, by one process or by all
pattern_outcomes      the same, of how far its answers were off where the right ones are known
pattern_shadowed      the same, of how far a shadow's answers were from the champion's
pattern_answered      a row for each answered request that is remembered: its answers, until outcomes are told
pattern_gate          a row for each store, changed by every submission
"""

import sqlalchemy as sql

tables = sql.MetaData()
jobs = sql.Table(
    "pattern_jobs",
    tables,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("id", sql.String(32), nullable=False, unique=True),
    sql.Column("store", sql.String(32), nullable=False),
    sql.Column("pattern", sql.String(63), nullable=False),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("recipe", sql.Text, nullable=False),
    sql.Column("promote", sql.Boolean, nullable=False),
    # Times are seconds since 1970, UTC.
    sql.Column("created", sql.Float, nullable=False),
    sql.Column("started", sql.Float),
    sql.Column("heartbeat", sql.Float),
    sql.Column("finished", sql.Float),
    sql.Column("epochs", sql.Integer, nullable=False),
    sql.Column("epoch", sql.Integer, nullable=False, default=0),
    sql.Column("loss", sql.Float),
    sql.Column("val_loss", sql.Float),
    sql.Column("eta_s", sql.Float),
    sql.Column("version", sql.Integer),
    sql.Column("metrics", sql.Text),
    sql.Column("error_code", sql.String(64)),
    sql.Column("error_message", sql.Text),
    sql.Column("cancel_requested", sql.Boolean, nullable=False, default=False),
    sql.Column("idempotency_key", sql.String(255)),
    sql.Column("body_sha256", sql.String(64)),
    sql.UniqueConstraint("store", "idempotency_key"),
    sql.Index("pattern_jobs_by_status", "store", "status", "number"),
)
events = sql.Table(
    "pattern_job_events",
    tables,
    sql.Column("job", sql.String(32), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("kind", sql.String(16), nullable=False),
    sql.Column("data", sql.Text, nullable=False),
)
trials = sql.Table(
    "pattern_trials",
    tables,
    sql.Column("job", sql.String(32), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("data", sql.Text, nullable=False),
)
promotions = sql.Table(
    "pattern_promotions",
    tables,
    sql.Column("job", sql.String(32), primary_key=True),
    sql.Column("tolerance", sql.Float, nullable=False),
    # What came of it, once it is known.
    sql.Column("decision", sql.Text),
)
finishes = sql.Table("pattern_finishes", tables, sql.Column("job", sql.String(32), primary_key=True))
leases = sql.Table(
    "pattern_leases",
    tables,
    sql.Column("job", sql.String(32), primary_key=True),
    sql.Column("holder", sql.String(32), nullable=False),
    sql.Column("place", sql.String(120), nullable=False),
    # Seconds since 1970 on the clock of the database.
    sql.Column("until", sql.Float, nullable=False),
)
asked, outcomes, shadowed = (
    sql.Table(
        name,
        tables,
        sql.Column("store", sql.String(32), primary_key=True),
        sql.Column("pattern", sql.String(63), primary_key=True),
        sql.Column("version", sql.Integer, primary_key=True),
        *(sql.Column(beside, sql.Integer, primary_key=True) for beside in others),
        # Seconds since 1970, and how many from there on.
        sql.Column("began", sql.BigInteger, primary_key=True),
        sql.Column("seconds", sql.Integer, primary_key=True),
        sql.Column("writer", sql.String(32), primary_key=True),
        sql.Column("counts", sql.LargeBinary, nullable=False),
    )
    for name, others in (("pattern_asked", ()), ("pattern_outcomes", ()), ("pattern_shadowed", ("champion",)))
)
answered = sql.Table(
    "pattern_answered",
    tables,
    sql.Column("store", sql.String(32), primary_key=True),
    sql.Column("request", sql.String(64), primary_key=True),
    sql.Column("pattern", sql.String(63), primary_key=True),
    sql.Column("version", sql.Integer, nullable=False),
    # Seconds since 1970. PostgreSQL gives a double back as it was, as SQLite does.
    sql.Column("answered", sql.Double, nullable=False),
    sql.Column("is_told", sql.Boolean, nullable=False),
    # How many each row has.
    sql.Column("outputs", sql.Integer, nullable=False),
    sql.Column("said", sql.LargeBinary, nullable=False),
    sql.Index("pattern_answered_by_time", "store", "answered"),
)
# A transaction that changes a store's row makes all others of the store wait: on any database, one process at a time
# counts the queue and adds to it.
gate = sql.Table(
    "pattern_gate", tables, sql.Column("store", sql.String(32), primary_key=True), sql.Column("passed", sql.Integer)
)


def make_tables(engine: sql.Engine, store: str) -> None:
    """Make the tables that are missing, and the row of the store in the gate."""
    tables.create_all(engine, checkfirst=True)
    with engine.begin() as connection:
        if connection.execute(sql.select(gate).where(gate.c.store == store)).first() is None:
            connection.execute(sql.insert(gate).values(store=store, passed=0))
