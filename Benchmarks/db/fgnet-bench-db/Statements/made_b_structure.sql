-- Neurites run up the columns. The columns of a bundle are one neurite as long as the bundle lasts: its first column, the
-- spine, runs through; the others consist of pieces, each of which an edge joins to the spine some sections after it begins, or
-- none does (orphans). People join orphans and take joined pieces off again.
analyze made.shape;
analyze made.column;
create table made.object as
select c.spine, s.z as first_z,
  lead(s.z, 1, h.sections) over (partition by c.spine order by s.z) - 1 as last_z, made.id(s.z, c.spine + 1) as root
from made.shape h, made.column c, generate_series(0, h.sections - 1) s (z)
where c.number = c.spine and (s.z = 0 or made.uniform(c.spine, s.z, 1) < c.cut);

analyze made.object;

create table made.piece as
with begin as materialized (
  select c.number as col, c.spine, s.z
  from made.shape h, made.column c, generate_series(0, h.sections - 1) s (z)
  where c.number <> c.spine
    and (s.z = 0 or made.uniform(c.spine, s.z, 1) < c.cut or made.uniform(c.number, s.z, 2) * h.mean_length < 1)
), span as materialized (
  select b.col, b.spine, b.z as first_z,
    lead(b.z, 1, h.sections) over (partition by b.col order by b.z) - 1 as last_z
  from begin b, made.shape h
), joined as (
  select p.*, o.root, made.id(p.first_z, p.col + 1) as name, made.uniform(p.col, p.first_z, 3) < h.orphans as orphan,
    least(p.last_z, p.first_z + floor(-ln(1 - made.uniform(p.col, p.first_z, 4)) * h.mean_delay))::integer as join_z,
    made.uniform(p.col, p.first_z, 5) as chance, p.last_z = h.sections - 1 as open,
    least(h.sections - 1, p.last_z + floor(4 * made.uniform(p.col, p.first_z, 6)))::integer as edit_z
  from span p
  join made.object o on o.spine = p.spine and p.first_z between o.first_z and o.last_z
  cross join made.shape h
)
select row_number() over (order by j.first_z, j.col) as number, j.col, j.spine, j.first_z, j.last_z, j.root, j.name, j.orphan,
  case when j.orphan then j.last_z else j.join_z end as join_z, j.edit_z,
  case when j.open then null when j.orphan and j.chance < 0.9 then 'merge' when not j.orphan and j.chance < 0.2 then 'split' end
    as edit
from joined j;
create unique index on made.piece (number);
analyze made.piece;

-- What people did beside merges and splits: notes.
create table made.operation as
with count as (
  select max(p.number) as pieces, h.edits - count(*) filter (where p.edit is not null) as notes
  from made.piece p, made.shape h group by h.edits
), done as (
  select s.z, 0 as step, 'section_final' as kind, null::bigint as piece, s.z as first_z
  from made.shape h, generate_series(0, h.sections - 1) s (z)
  union all
  select p.edit_z, 1, p.edit, p.number, p.join_z from made.piece p where p.edit is not null
  union all
  select p.last_z, 2, 'annotate', p.number, p.first_z from count c
  cross join generate_series(1, c.notes) n
  join made.piece p on p.number = 1 + (made.uniform(n::integer, 0, 7) * c.pieces)::bigint % c.pieces
)
select row_number() over (order by d.z, d.step, d.piece) as operation_id, d.* from done d;
create index on made.operation (z) where step = 0;
create index on made.operation (piece) where step = 1;
analyze made.operation;

create table made.section as
select o.z, o.operation_id from made.operation o where o.step = 0 order by o.z;
create unique index on made.section (z);
analyze made.section;
