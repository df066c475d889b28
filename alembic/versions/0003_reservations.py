"""HITs of several comparisons, reservations, checks and saved answers."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
    )
    op.create_table(
        "shown_images",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("comparison_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["comparisons.id"],
            name=op.f("fk_shown_images_comparison_id_comparisons"),
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_shown_images_image_id_images")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shown_images")),
        sa.UniqueConstraint(
            "comparison_id", "name", name=op.f("uq_shown_images_comparison_id_name")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_shown_images_public_id")),
    )
    with op.batch_alter_table("shown_images", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_shown_images_comparison_id"), ["comparison_id"], unique=False
        )

    op.create_table(
        "saved_answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("placement_id", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=16), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["placement_id"],
            ["placements.id"],
            name=op.f("fk_saved_answers_placement_id_placements"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_answers")),
        sa.UniqueConstraint(
            "placement_id", "question", name=op.f("uq_saved_answers_placement_id_question")
        ),
    )
    with op.batch_alter_table("assignments") as batch:
        batch.add_column(sa.Column("flag", sa.Text(), nullable=True))
    with op.batch_alter_table("studies") as batch:
        batch.add_column(
            sa.Column("votes_wanted", sa.Integer(), nullable=False, server_default="10")
        )
        batch.add_column(sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    _hits_show_comparisons()
    _images_are_named_by_comparison()
    _placements_are_reservations()
    _votes_know_their_place()


def _hits_show_comparisons() -> None:
    """A HIT showed one comparison, which named its address; now it has a name of its own."""
    with op.batch_alter_table("comparisons") as batch:
        batch.add_column(sa.Column("turn", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("hit_record_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("reserved", sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE comparisons SET hit_record_id = "
        "(SELECT hits.id FROM hits WHERE hits.comparison_id = comparisons.id)"
    )
    with op.batch_alter_table("hits") as batch:
        batch.add_column(sa.Column("study_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("public_id", sa.String(32), nullable=True))
        batch.add_column(sa.Column("pooled", sa.Boolean(), nullable=False, server_default="0"))
        batch.add_column(
            sa.Column("assignments", sa.Integer(), nullable=False, server_default="10")
        )
        batch.add_column(
            sa.Column("unit_cost", sa.Numeric(12, 4), nullable=False, server_default="0")
        )
        batch.add_column(
            sa.Column("duration_s", sa.Integer(), nullable=False, server_default="600")
        )
    for column in ("study_id", "public_id"):
        # HITs that are published keep their address.
        op.execute(
            f"UPDATE hits SET {column} = (SELECT comparisons.{column} FROM comparisons "
            "WHERE comparisons.id = hits.comparison_id)"
        )
    with op.batch_alter_table("hits") as batch:
        batch.alter_column("study_id", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("public_id", existing_type=sa.String(32), nullable=False)
        batch.drop_constraint(batch.f("uq_hits_comparison_id"), type_="unique")
        batch.drop_constraint(batch.f("fk_hits_comparison_id_comparisons"), type_="foreignkey")
        batch.drop_column("comparison_id")
        batch.create_index(batch.f("ix_hits_study_id"), ["study_id"])
        batch.create_unique_constraint(batch.f("uq_hits_public_id"), ["public_id"])
        batch.create_foreign_key(
            batch.f("fk_hits_study_id_studies"), "studies", ["study_id"], ["id"]
        )
    with op.batch_alter_table("comparisons") as batch:
        batch.create_index(batch.f("ix_comparisons_hit_record_id"), ["hit_record_id"])
        batch.create_foreign_key(
            batch.f("fk_comparisons_hit_record_id_hits"), "hits", ["hit_record_id"], ["id"]
        )


def _images_are_named_by_comparison() -> None:
    """Every image gets a random name in each comparison that shows it."""
    connection = op.get_bind()
    comparisons = sa.table(
        "comparisons",
        *(sa.column(name) for name in ("id", "study_id", "prompt_id", "seed")),
        sa.column("methods", sa.JSON()),
    )
    images = sa.table(
        "images", *(sa.column(name) for name in ("id", "study_id", "prompt_id", "seed", "method"))
    )
    known = {
        (row.study_id, row.prompt_id, row.seed, row.method): row.id
        for row in connection.execute(sa.select(images))
    }
    shown = sa.table(
        "shown_images",
        *(sa.column(name) for name in ("public_id", "comparison_id", "image_id", "name")),
    )
    rows = [
        {
            "public_id": secrets.token_hex(12),
            "comparison_id": each.id,
            "image_id": known[each.study_id, each.prompt_id, each.seed, method],
            "name": method,
        }
        for each in connection.execute(sa.select(comparisons))
        for method in each.methods
        if (each.study_id, each.prompt_id, each.seed, method) in known
    ]
    if rows:
        connection.execute(shown.insert(), rows)
    with op.batch_alter_table("images") as batch:
        batch.drop_constraint(batch.f("uq_images_public_id"), type_="unique")
        batch.drop_column("public_id")


def _placements_are_reservations() -> None:
    """Placements get the HIT and the slot that they hold, in the order in which they were drawn."""
    time = sa.DateTime(timezone=True)
    with op.batch_alter_table("placements") as batch:
        batch.add_column(sa.Column("hit_record_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("number", sa.Integer(), nullable=False, server_default="1"))
        batch.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="vote"))
        batch.add_column(sa.Column("slot", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("questions", sa.JSON(), nullable=False, server_default="[]"))
        for name in ("seen_at", "left_at", "reserved_until", "released_at"):
            batch.add_column(sa.Column(name, time, nullable=True))
    op.execute(
        "UPDATE placements SET seen_at = drawn_at, reserved_until = drawn_at, hit_record_id = "
        "(SELECT hit_record_id FROM comparisons WHERE comparisons.id = placements.comparison_id), "
        "slot = (SELECT COUNT(*) FROM placements AS other "
        "WHERE other.comparison_id = placements.comparison_id AND other.id < placements.id)"
    )
    # A worker who came twice has returned the HIT before.
    op.execute(
        "UPDATE placements SET released_at = drawn_at WHERE EXISTS (SELECT 1 FROM placements AS "
        "later WHERE later.comparison_id = placements.comparison_id AND later.worker_id = "
        "placements.worker_id AND later.id > placements.id)"
    )
    op.execute(
        "UPDATE comparisons SET reserved = (SELECT COUNT(*) FROM placements WHERE "
        "placements.comparison_id = comparisons.id AND placements.released_at IS NULL)"
    )
    _ask_in_the_studys_order()
    held = sa.text("released_at IS NULL AND kind = 'vote'")
    with op.batch_alter_table("placements") as batch:
        for name in ("seen_at", "reserved_until"):
            batch.alter_column(name, existing_type=time, nullable=False)
        batch.alter_column("hit_record_id", existing_type=sa.Integer(), nullable=False)
        batch.drop_constraint(
            batch.f("uq_placements_assignment_id_worker_id_comparison_id"), type_="unique"
        )
        batch.create_unique_constraint(
            batch.f("uq_placements_assignment_id_worker_id_number"),
            ["assignment_id", "worker_id", "number"],
        )
        batch.create_index(batch.f("ix_placements_hit_record_id"), ["hit_record_id"])
        batch.create_index(batch.f("ix_placements_worker_id"), ["worker_id"])
        for name in ("slot", "worker_id"):
            batch.create_index(
                f"uq_placements_{name.removesuffix('_id')}",
                ["comparison_id", name],
                unique=True,
                sqlite_where=held,
                postgresql_where=held,
            )
        batch.create_foreign_key(
            batch.f("fk_placements_hit_record_id_hits"), "hits", ["hit_record_id"], ["id"]
        )


def _ask_in_the_studys_order() -> None:
    """Questions were asked in the study file's order."""
    connection = op.get_bind()
    studies = sa.table("studies", sa.column("id"), sa.column("hits", sa.JSON()))
    comparisons = sa.table("comparisons", sa.column("id"), sa.column("study_id"))
    placements = sa.table(
        "placements", sa.column("comparison_id"), sa.column("questions", sa.JSON())
    )
    for study in connection.execute(sa.select(studies)).all():
        keys = [question["key"] for question in study.hits.get("questions", [])]
        own = sa.select(comparisons.c.id).where(comparisons.c.study_id == study.id)
        connection.execute(
            placements.update().where(placements.c.comparison_id.in_(own)).values(questions=keys)
        )


def _votes_know_their_place() -> None:
    """Votes get the number and the kind of what they answer; so far there was one vote a page."""
    with op.batch_alter_table("votes") as batch:
        batch.add_column(sa.Column("number", sa.Integer(), nullable=False, server_default="1"))
        batch.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="vote"))
        batch.add_column(sa.Column("conditions", sa.JSON(), nullable=False, server_default="{}"))
        batch.alter_column("choice", existing_type=sa.String(64), type_=sa.String(80))
        batch.drop_constraint(
            batch.f("uq_votes_assignment_record_id_comparison_id_question"), type_="unique"
        )
        batch.create_unique_constraint(
            batch.f("uq_votes_assignment_record_id_number_question"),
            ["assignment_record_id", "number", "question"],
        )


def downgrade() -> None:
    raise NotImplementedError("a HIT of several comparisons cannot be told in the older records")
