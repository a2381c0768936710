-- The same answer: each event is found once, so none has to be found out to be there twice.

create or replace function history(volume text, segment bigint, as_of bigint default null)
returns table (event text, segment_id bigint, other_segment_id bigint, z integer, cause_fragment_a bigint,
  cause_fragment_b bigint, score real, at timestamptz, operation text, actor text, run_id bigint, operation_id bigint,
  lineage_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  perform known_segment(number, $2);
  return query
  with part as materialized (
    select $2 as segment_id, 9223372036854775807 as lineage_id
    union all
    select a.segment_id, max(a.lineage_id) from ancestors($1, $2, $3) a where a.segment_id <> $2 group by a.segment_id
  ), told as materialized (
    select l.* from part p
    cross join lateral (
      select * from lineage_event l where l.volume_id = number and l.segment_id = p.segment_id
        and l.lineage_id <= p.lineage_id offset 0
    ) l where $3 is null or l.operation_id <= $3
    union all
    select l.* from part p
    cross join lateral (
      select * from lineage_event l where l.volume_id = number and l.other_segment_id = p.segment_id
        and l.lineage_id <= p.lineage_id offset 0
    ) l
    where ($3 is null or l.operation_id <= $3)
      and not exists (select from part o where o.segment_id = l.segment_id and o.lineage_id >= l.lineage_id)
  ), done as materialized (
    select o.* from (select distinct t.operation_id from told t) d
    cross join lateral (select * from operation o where o.operation_id = d.operation_id offset 0) o
  )
  select t.event, t.segment_id, t.other_segment_id, t.z, t.cause_fragment_a, t.cause_fragment_b, t.score, o.at, o.kind,
    o.actor, o.run_id, t.operation_id, t.lineage_id
  from told t join done o on o.operation_id = t.operation_id order by t.lineage_id;
end $$;
