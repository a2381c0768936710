-- Neighbours of a segment: from the summaries of blocks where they are, else from its edges.

create function neighbours_now(volume_number integer, segment bigint)
returns table (segment_id bigint, contact_area_px bigint, contacts integer, mean_affinity double precision,
  best_score real)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off set enable_nestloop to off
  set enable_seqscan to off as $$
#variable_conflict use_column
begin
  -- `offset 0`: a look-up for each name, fragment or edge, which only a loop can do. What is compared is hashed, however few
  -- rows the planner expects.
  return query
  with name as materialized (
    select s.segment_id from segment s where s.volume_id = $1 and s.live_id = $2
  ), whole as materialized (
    select c.block, c.version from contact_block c where c.volume_id = $1 and c.is_complete
  ), summed as materialized (
    select c.other_id, sum(c.contact_area_px) as area, sum(c.contacts) as contacts, sum(c.affinity_area) as affinity_area,
      max(c.best_score) as best_score
    from name n
    cross join lateral (
      select * from segment_contact c where c.volume_id = $1 and c.segment_id = n.segment_id offset 0
    ) c
    join whole w on w.block = c.block and w.version = c.version
    where not exists (select from name m where m.segment_id = c.other_id) group by c.other_id
  ), gap as materialized (
    -- The blocks in between, which have no summary.
    select coalesce(lag(w.block) over (order by w.block) + 1, -4096) as first_block, w.block - 1 as last_block from whole w
    union all
    select coalesce(max(w.block) + 1, -4096), 4095 from whole w
  ), member as materialized (
    -- No fragment is below the one that gave its segment the name.
    select f.fragment_id from gap g
    join name n on (n.segment_id >> 50) - 4096 <= g.last_block
    cross join lateral (
      select f.fragment_id from fragment f where f.volume_id = $1 and f.segment_id = n.segment_id
        and f.z >> 5 between g.first_block and g.last_block offset 0
    ) f
    where g.first_block <= g.last_block
  ), edge as (
    select e.fragment_b as outside, e.contact_area_px, e.mean_affinity, e.score from member m
    cross join lateral (
      select * from region_edge e where e.volume_id = $1 and e.fragment_a = m.fragment_id offset 0
    ) e
    union all
    select e.fragment_a, e.contact_area_px, e.mean_affinity, e.score from member m
    cross join lateral (
      select * from region_edge e where e.volume_id = $1 and e.fragment_b = m.fragment_id offset 0
    ) e
  ), contact as materialized (
    select e.* from edge e where not exists (select from member m where m.fragment_id = e.outside)
  ), recorded as materialized (
    -- Under which name each fragment outside is recorded.
    select o.outside, f.segment_id as name from (select distinct c.outside from contact c) o
    cross join lateral (
      select f.segment_id from fragment f where f.volume_id = $1 and f.fragment_id = o.outside offset 0
    ) f
    where not exists (select from name m where m.segment_id = f.segment_id)
  ), told as materialized (
    select s.other_id, s.area, s.contacts, s.affinity_area, s.best_score from summed s
    union all
    select r.name, sum(c.contact_area_px), count(*), sum(c.mean_affinity::double precision * c.contact_area_px), max(c.score)
    from contact c join recorded r on r.outside = c.outside group by r.name
  ), live as materialized (
    select o.other_id, s.live_id from (select distinct t.other_id from told t) o
    cross join lateral (
      select s.live_id from segment s where s.volume_id = $1 and s.segment_id = o.other_id offset 0
    ) s
  )
  select l.live_id, sum(t.area)::bigint, sum(t.contacts)::integer, sum(t.affinity_area) / nullif(sum(t.area), 0),
    max(t.best_score)
  from told t join live l on l.other_id = t.other_id
  group by l.live_id order by 2 desc, 1;
end $$;
comment on function neighbours_now is 'As neighbours, of now.';

create function neighbours_as_of(volume_number integer, segment bigint, as_of bigint)
returns table (segment_id bigint, contact_area_px bigint, contacts integer, mean_affinity double precision,
  best_score real)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
begin
  return query
  with member as materialized (
    select f.fragment_id from fragments_as_of($1, $3, $2) f
  ), edge as (
    select e.fragment_b as outside, e.contact_area_px, e.mean_affinity, e.score from member m
    cross join lateral (
      select * from region_edge e where e.volume_id = $1 and e.fragment_a = m.fragment_id offset 0
    ) e where e.operation_id <= $3
    union all
    select e.fragment_a, e.contact_area_px, e.mean_affinity, e.score from member m
    cross join lateral (
      select * from region_edge e where e.volume_id = $1 and e.fragment_b = m.fragment_id offset 0
    ) e where e.operation_id <= $3
    union all
    select h.fragment_b, h.contact_area_px, h.mean_affinity, h.score from member m
    cross join lateral (
      select * from region_edge_history h where h.volume_id = $1 and h.fragment_a = m.fragment_id offset 0
    ) h where h.operation_id <= $3 and h.until_operation_id > $3
    union all
    select h.fragment_a, h.contact_area_px, h.mean_affinity, h.score from member m
    cross join lateral (
      select * from region_edge_history h where h.volume_id = $1 and h.fragment_b = m.fragment_id offset 0
    ) h where h.operation_id <= $3 and h.until_operation_id > $3
  ), contact as materialized (
    select e.* from edge e where not exists (select from member m where m.fragment_id = e.outside)
  ), recorded as materialized (
    -- Under which name each fragment outside was recorded.
    select o.outside, coalesce(h.segment_id, f.segment_id) as name
    from (select distinct c.outside from contact c) o
    left join lateral (
      select f.segment_id from fragment f where f.volume_id = $1 and f.fragment_id = o.outside offset 0
    ) f on true
    left join lateral (
      select h.segment_id from fragment_history h where h.volume_id = $1 and h.fragment_id = o.outside
        and h.operation_id <= $3 and h.until_operation_id > $3 offset 0
    ) h on true
  ), named as materialized (
    select n.name, root_as_of($1, n.name, $3) as segment_id from (select distinct r.name from recorded r) n
  )
  select n.segment_id, sum(c.contact_area_px)::bigint, count(*)::integer,
    sum(c.mean_affinity::double precision * c.contact_area_px) / nullif(sum(c.contact_area_px), 0), max(c.score)
  from contact c
  join recorded r on r.outside = c.outside
  join named n on n.name = r.name
  group by n.segment_id order by 2 desc, 1;
end $$;
comment on function neighbours_as_of is 'As neighbours, of a moment: from the edges there were.';

create or replace function neighbours(volume text, segment bigint, as_of bigint default null)
returns table (segment_id bigint, contact_area_px bigint, contacts integer, mean_affinity double precision,
  best_score real)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  perform known_segment(number, $2);
  if $3 is null then return query select * from neighbours_now(number, $2);
  else return query select * from neighbours_as_of(number, $2, $3);
  end if;
end $$;
