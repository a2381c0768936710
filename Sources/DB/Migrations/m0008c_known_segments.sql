-- A segment that never was is a mistake of the caller, and named. About one that is retired, questions are answered as before.

create function known_segment(volume_number integer, segment bigint) returns void
language plpgsql stable set search_path to fgnet, pg_temp as $$
begin
  if not exists (select from segment s where s.volume_id = $1 and s.segment_id = $2) then
    raise exception 'segment: there is no segment % in this volume', coalesce($2::text, 'null') using errcode = '22023';
  end if;
end $$;
comment on function known_segment is 'An error if there never was such a segment.';

create or replace function ancestors(volume text, segment bigint, as_of bigint default null)
returns table (segment_id bigint, became bigint, event text, z integer, at timestamptz, operation_id bigint,
  lineage_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  perform known_segment(number, $2);
  return query
  with recursive back (segment_id, became, event, z, operation_id, lineage_id) as (
    select $2, null::bigint, null::text, null::integer, null::bigint, 9223372036854775807
    union
    select e.source, b.segment_id, e.event, e.z, e.operation_id, e.lineage_id from back b
    cross join lateral (
      select l.other_segment_id as source, l.event, l.z, l.operation_id, l.lineage_id from lineage_event l
      where l.volume_id = number and l.segment_id = b.segment_id and l.event in ('merged', 'revised')
        and l.other_segment_id <> l.segment_id and l.lineage_id < b.lineage_id and ($3 is null or l.operation_id <= $3)
      union all
      select l.segment_id, l.event, l.z, l.operation_id, l.lineage_id from lineage_event l
      where l.volume_id = number and l.other_segment_id = b.segment_id and l.event in ('split', 'settled')
        and l.lineage_id < b.lineage_id and ($3 is null or l.operation_id <= $3)
    ) e
  )
  select b.segment_id, b.became, b.event, b.z, o.at, b.operation_id, b.lineage_id
  from (select distinct on (b.lineage_id, b.segment_id) b.* from back b where b.event is not null) b
  join operation o on o.operation_id = b.operation_id order by b.lineage_id desc;
end $$;

create or replace function descendants(volume text, segment bigint, as_of bigint default null)
returns table (segment_id bigint, came_from bigint, event text, z integer, at timestamptz, operation_id bigint,
  lineage_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  perform known_segment(number, $2);
  return query
  with recursive ahead (segment_id, came_from, event, z, operation_id, lineage_id) as (
    select $2, null::bigint, null::text, null::integer, null::bigint, 0::bigint
    union
    select e.target, a.segment_id, e.event, e.z, e.operation_id, e.lineage_id from ahead a
    cross join lateral (
      select l.segment_id as target, l.event, l.z, l.operation_id, l.lineage_id from lineage_event l
      where l.volume_id = number and l.other_segment_id = a.segment_id and l.event in ('merged', 'revised')
        and l.other_segment_id <> l.segment_id and l.lineage_id > a.lineage_id and ($3 is null or l.operation_id <= $3)
      union all
      select l.other_segment_id, l.event, l.z, l.operation_id, l.lineage_id from lineage_event l
      where l.volume_id = number and l.segment_id = a.segment_id and l.event in ('split', 'settled')
        and l.lineage_id > a.lineage_id and ($3 is null or l.operation_id <= $3)
    ) e
  )
  select a.segment_id, a.came_from, a.event, a.z, o.at, a.operation_id, a.lineage_id
  from (select distinct on (a.lineage_id, a.segment_id) a.* from ahead a where a.event is not null) a
  join operation o on o.operation_id = a.operation_id order by a.lineage_id;
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
  if $3 is not null then perform known_segment(number, $3); end if;
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

create or replace function segment_sections_as_of(volume text, as_of bigint, segment bigint default null)
returns table (segment_id bigint, z integer, area_px bigint, fragments integer, min_y integer,
  min_x integer, max_y integer, max_x integer, centroid_y double precision, centroid_x double precision, outline text)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  if $3 is not null then perform known_segment(number, $3); end if;
  return query select m.segment_id, m.z, sum(m.area_px)::bigint, count(*)::integer,
    min(m.min_y), min(m.min_x), max(m.max_y), max(m.max_x), sum(m.centroid_y * m.area_px) / sum(m.area_px),
    sum(m.centroid_x * m.area_px) / sum(m.area_px),
    case when $3 is not null then outline_of(number, m.z,
      (select g.labels_operation_id from segmentation_as_of(number, m.z, $2) g),
      array_agg(m.label), min(m.min_y), min(m.min_x), max(m.max_y), max(m.max_x)) end
  from fragments_as_of(number, $2, $3) m group by m.segment_id, m.z order by m.segment_id, m.z;
end $$;
