-- The same answers for segments with tens of thousands of events: what is shared by many rows is looked up once, and by its
-- key, however large the tables are.

create or replace function history(volume text, segment bigint, as_of bigint default null)
returns table (event text, segment_id bigint, other_segment_id bigint, z integer, cause_fragment_a bigint,
  cause_fragment_b bigint, score real, at timestamptz, operation text, actor text, run_id bigint, operation_id bigint,
  lineage_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  return query
  with part as materialized (
    select $2 as segment_id, 9223372036854775807 as lineage_id
    union all
    select a.segment_id, max(a.lineage_id) from ancestors($1, $2, $3) a where a.segment_id <> $2 group by a.segment_id
  ), told as materialized (
    select distinct on (e.lineage_id) e.* from (
      select l.* from part p
      cross join lateral (
        select * from lineage_event l where l.volume_id = number and l.segment_id = p.segment_id
          and l.lineage_id <= p.lineage_id offset 0
      ) l
      union all
      select l.* from part p
      cross join lateral (
        select * from lineage_event l where l.volume_id = number and l.other_segment_id = p.segment_id
          and l.lineage_id <= p.lineage_id offset 0
      ) l
    ) e where $3 is null or e.operation_id <= $3 order by e.lineage_id
  ), done as materialized (
    select o.* from (select distinct t.operation_id from told t) d
    cross join lateral (select * from operation o where o.operation_id = d.operation_id offset 0) o
  )
  select t.event, t.segment_id, t.other_segment_id, t.z, t.cause_fragment_a, t.cause_fragment_b, t.score, o.at, o.kind,
    o.actor, o.run_id, t.operation_id, t.lineage_id
  from told t join done o on o.operation_id = t.operation_id order by t.lineage_id;
end $$;

create or replace function segments_as_of(volume text, as_of bigint, segment bigint default null)
returns table (segment_id bigint, size_voxels bigint, volume_um3 double precision, first_z integer,
  last_z integer, sections integer, fragments integer, min_y integer, min_x integer, max_y integer, max_x integer,
  centroid_z double precision, centroid_y double precision, centroid_x double precision)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
  voxel_um3 double precision := (select v.voxel_z_nm * v.voxel_y_nm * v.voxel_x_nm / 1e9 from volume v
    where v.volume_id = number);
begin
  if $2 is null or $3 is null then
    return query select m.segment_id, sum(m.area_px)::bigint, sum(m.area_px) * voxel_um3, min(m.z), max(m.z),
      count(distinct m.z)::integer, count(*)::integer, min(m.min_y), min(m.min_x), max(m.max_y), max(m.max_x),
      sum(m.z::double precision * m.area_px) / sum(m.area_px), sum(m.centroid_y * m.area_px) / sum(m.area_px),
      sum(m.centroid_x * m.area_px) / sum(m.area_px)
    from fragments_as_of(number, $2, $3) m group by m.segment_id;
    return;
  end if;
  -- One segment: its rows are summed as they are found.
  return query
  with part as materialized (select p.segment_id from parts_as_of(number, $3, $2) p),
  member as (
    select f.z, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.centroid_y, f.centroid_x from part p
    cross join lateral (
      select * from fragment f where f.volume_id = number and f.segment_id = p.segment_id offset 0
    ) f
    where f.state = 'final' and f.operation_id <= $2
    union all
    select h.z, h.area_px, h.min_y, h.min_x, h.max_y, h.max_x, h.centroid_y, h.centroid_x from part p
    cross join lateral (
      select * from fragment_history h where h.volume_id = number and h.segment_id = p.segment_id offset 0
    ) h
    where h.operation_id <= $2 and h.until_operation_id > $2
  ), section as (
    select m.z, sum(m.area_px)::bigint as area_px, count(*) as fragments, min(m.min_y) as min_y, min(m.min_x) as min_x,
      max(m.max_y) as max_y, max(m.max_x) as max_x, sum(m.centroid_y * m.area_px) as sum_y,
      sum(m.centroid_x * m.area_px) as sum_x
    from member m group by m.z
  )
  select $3, sum(s.area_px)::bigint, sum(s.area_px) * voxel_um3, min(s.z), max(s.z), count(*)::integer,
    sum(s.fragments)::integer, min(s.min_y), min(s.min_x), max(s.max_y), max(s.max_x),
    sum(s.z::double precision * s.area_px) / sum(s.area_px), sum(s.sum_y) / sum(s.area_px), sum(s.sum_x) / sum(s.area_px)
  from section s having count(*) > 0;
end $$;
