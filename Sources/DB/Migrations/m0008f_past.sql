-- For exports of the past.

create function segment_of(volume_number integer, fragment bigint, as_of bigint) returns bigint
language plpgsql stable set search_path to fgnet, pg_temp as $$
begin
  return (select root_as_of($1, p.segment_id, $3) from (
    select f.segment_id from fragment f
    where f.volume_id = $1 and f.fragment_id = $2 and f.state = 'final' and f.operation_id <= $3
    union all
    select h.segment_id from fragment_history h
    where h.volume_id = $1 and h.fragment_id = $2 and h.operation_id <= $3 and h.until_operation_id > $3
  ) p);
end $$;
comment on function segment_of is 'The segment that a final fragment was of after an operation; null if it was not there.';

create function edges_as_of(volume_number integer, fragments bigint[], as_of bigint)
returns table (fragment_a bigint, fragment_b bigint, score real, corrected boolean)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
begin
  return query
  with ended as materialized (
    -- Corrections that were in force and are not any more.
    select c.decision, c.fragment_a, c.fragment_b from correction c
    where c.until_operation_id > $3 and c.volume_id = $1 and c.operation_id <= $3 and c.fragment_b is not null
  ), held as materialized (
    select c.decision, c.fragment_a, c.fragment_b from unnest($2) n (id)
    cross join lateral (
      select * from correction c where c.volume_id = $1 and c.fragment_a = n.id and c.until_operation_id is null offset 0
    ) c where c.operation_id <= $3 and c.fragment_b is not null
    union all
    select e.decision, e.fragment_a, e.fragment_b from ended e where e.fragment_a = any ($2)
  ), edge as (
    select e.fragment_a, e.fragment_b, e.score, false as corrected from unnest($2) n (id)
    cross join lateral (
      select * from region_edge e where e.volume_id = $1 and e.fragment_a = n.id offset 0
    ) e where e.accepted and e.operation_id <= $3
    union all
    select h.fragment_a, h.fragment_b, h.score, false from unnest($2) n (id)
    cross join lateral (
      select * from region_edge_history h where h.volume_id = $1 and h.fragment_a = n.id offset 0
    ) h where h.accepted and h.operation_id <= $3 and h.until_operation_id > $3
    union all
    select j.fragment_a, j.fragment_b, 1::real, true from held j where j.decision = 'join'
  )
  select e.fragment_a, e.fragment_b, e.score, e.corrected from edge e
  where not exists (
    select from held c where c.fragment_a = e.fragment_a and c.fragment_b = e.fragment_b
      and c.decision in ('separate', 'refuse'));
end $$;
comment on function edges_as_of is 'The view effective_edge as it was after an operation: the edges that leave some fragments (their fragment_a).';
