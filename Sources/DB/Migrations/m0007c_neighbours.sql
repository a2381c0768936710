create or replace function neighbours(volume text, segment bigint, as_of bigint default null)
returns table (segment_id bigint, contact_area_px bigint, contacts integer, mean_affinity double precision,
  best_score real)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  return query
  with member as materialized (
    select f.fragment_id from fragments_as_of(number, $3, $2) f
  ), edge as (
    select e.fragment_b as outside, e.contact_area_px, e.mean_affinity, e.score from member m
    cross join lateral (
      select * from region_edge e where e.volume_id = number and e.fragment_a = m.fragment_id offset 0
    ) e where $3 is null or e.operation_id <= $3
    union all
    select e.fragment_a, e.contact_area_px, e.mean_affinity, e.score from member m
    cross join lateral (
      select * from region_edge e where e.volume_id = number and e.fragment_b = m.fragment_id offset 0
    ) e where $3 is null or e.operation_id <= $3
    union all
    select h.fragment_b, h.contact_area_px, h.mean_affinity, h.score from member m
    cross join lateral (
      select * from region_edge_history h where h.volume_id = number and h.fragment_a = m.fragment_id offset 0
    ) h where $3 is not null and h.operation_id <= $3 and h.until_operation_id > $3
    union all
    select h.fragment_a, h.contact_area_px, h.mean_affinity, h.score from member m
    cross join lateral (
      select * from region_edge_history h where h.volume_id = number and h.fragment_b = m.fragment_id offset 0
    ) h where $3 is not null and h.operation_id <= $3 and h.until_operation_id > $3
  ), contact as materialized (
    select e.* from edge e where not exists (select from member m where m.fragment_id = e.outside)
  ), recorded as materialized (
    -- Under which name each fragment outside was recorded.
    select o.outside, coalesce(h.segment_id, f.segment_id) as name
    from (select distinct c.outside from contact c) o
    left join lateral (
      select f.segment_id from fragment f where f.volume_id = number and f.fragment_id = o.outside offset 0
    ) f on true
    left join lateral (
      select h.segment_id from fragment_history h where $3 is not null and h.volume_id = number
        and h.fragment_id = o.outside and h.operation_id <= $3 and h.until_operation_id > $3 offset 0
    ) h on true
  ), named as materialized (
    select n.name, case when $3 is null then (
        select s.live_id from segment s where s.volume_id = number and s.segment_id = n.name)
      else root_as_of(number, n.name, $3) end as segment_id
    from (select distinct r.name from recorded r) n
  )
  select n.segment_id, sum(c.contact_area_px)::bigint, count(*)::integer,
    sum(c.mean_affinity::double precision * c.contact_area_px) / nullif(sum(c.contact_area_px), 0), max(c.score)
  from contact c
  join recorded r on r.outside = c.outside
  join named n on n.name = r.name
  group by n.segment_id order by 2 desc, 1;
end $$;
