-- Merges of large segments: what is compared is hashed or sorted, never each with each.

create or replace function contact_of(
  volume_id integer, a bigint, b bigint, out fragment_a bigint, out fragment_b bigint, out score real
)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off set enable_nestloop to off as $$
#variable_conflict use_column
declare
  nodes_a constant bigint[] := (region_nodes($1, a));
  nodes_b constant bigint[] := (region_nodes($1, b));
  few constant bigint[] := case when cardinality(nodes_a) < cardinality(nodes_b) then nodes_a else nodes_b end;
  many constant bigint[] := case when cardinality(nodes_a) < cardinality(nodes_b) then nodes_b else nodes_a end;
begin
  select e.fragment_a, e.fragment_b, e.score into contact_of.fragment_a, contact_of.fragment_b, contact_of.score
  from unnest(few) n (id)
  cross join lateral (
    (select e.*, e.fragment_b as far from region_edge e where e.volume_id = $1 and e.fragment_a = n.id offset 0)
    union all
    (select e.*, e.fragment_a from region_edge e where e.volume_id = $1 and e.fragment_b = n.id offset 0)
  ) e
  join unnest(many) m (id) on m.id = e.far
  order by e.score desc, e.contact_area_px desc, e.fragment_a, e.fragment_b limit 1;
  if found then return; end if;
  select n.fragment_a, n.fragment_b into contact_of.fragment_a, contact_of.fragment_b
  from nearest_fragments($1, nodes_a, nodes_b) n;
end $$;

create function nearest_fragments(
  volume_id integer, nodes_a bigint[], nodes_b bigint[], out fragment_a bigint, out fragment_b bigint
)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off set enable_nestloop to off as $$
#variable_conflict use_column
declare
  apart bigint;
begin
  -- Each section with the nearest one at or below it that has a fragment of the other kind. Ids order by section.
  select min(case when l.is_a then l.z - l.last_b else l.z - l.last_a end) into apart from (
    select d.z, d.is_a, max(d.z) filter (where d.is_a) over (order by d.z) as last_a,
      max(d.z) filter (where not d.is_a) over (order by d.z) as last_b
    from (
      select n.id >> 45 as z, true as is_a from unnest(nodes_a) n (id)
      union select n.id >> 45, false from unnest(nodes_b) n (id)
    ) d
  ) l;
  with level as (
    -- Fragments that are that far apart have a level in common: the section of the one in nodes_a.
    select n.id, n.id >> 45 as z, true as is_a from unnest(nodes_a) n (id)
    union all
    select n.id, (n.id >> 45) - apart, false from unnest(nodes_b) n (id)
    union all
    select n.id, (n.id >> 45) + apart, false from unnest(nodes_b) n (id) where apart > 0
  ), placed as materialized (
    select l.id, l.z, l.is_a, f.centroid_y, f.centroid_x, f.centroid_y * v.voxel_y_nm as y, f.centroid_x * v.voxel_x_nm as x,
      v.voxel_y_nm, v.voxel_x_nm
    from (select l.z from level l group by l.z having bool_or(l.is_a) and bool_or(not l.is_a)) c
    join level l on l.z = c.z
    cross join lateral (
      select * from fragment f where f.volume_id = $1 and f.fragment_id = l.id offset 0
    ) f
    cross join (select * from volume v where v.volume_id = $1) v
  ), reach as materialized (
    -- Some two, next to each other in the order of their rows: the nearest two are not farther apart. A little more, for rounding.
    select 1.001 * greatest(1, min(sqrt((s.y - s.last_y) ^ 2 + (s.x - s.last_x) ^ 2)) filter (where s.is_a <> s.last_is_a))
      as nm
    from (
      select p.y, p.x, p.is_a, lag(p.y) over w as last_y, lag(p.x) over w as last_x, lag(p.is_a) over w as last_is_a
      from placed p window w as (partition by p.z order by p.y, p.id)
    ) s
  ), cell as materialized (
    -- In squares of that size they lie in the same one or in two that touch.
    select p.*, floor(p.y / r.nm) as row, floor(p.x / r.nm) as col from placed p cross join reach r
  )
  select least(p.id, q.id), greatest(p.id, q.id) into fragment_a, fragment_b
  from cell p
  join (
    select c.*, c.row + dy.step as near_row, c.col + dx.step as near_col from cell c
    cross join generate_series(-1, 1) dy (step) cross join generate_series(-1, 1) dx (step) where not c.is_a
  ) q on q.z = p.z and q.near_row = p.row and q.near_col = p.col
  where p.is_a
  order by ((p.centroid_y - q.centroid_y) * p.voxel_y_nm) ^ 2 + ((p.centroid_x - q.centroid_x) * p.voxel_x_nm) ^ 2, 1, 2
  limit 1;
end $$;
comment on function nearest_fragments is 'Of two sets of fragments, the nearest centres in the nearest sections; of pairs that are equally near the one with the smallest ids.';
