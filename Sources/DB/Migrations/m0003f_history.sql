-- The views as they were, and what became of what.

create function segments_as_of(volume text, as_of bigint, segment bigint default null)
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
  return query select m.segment_id, sum(m.area_px)::bigint, sum(m.area_px) * voxel_um3, min(m.z), max(m.z),
    count(distinct m.z)::integer, count(*)::integer, min(m.min_y), min(m.min_x), max(m.max_y), max(m.max_x),
    sum(m.z::double precision * m.area_px) / sum(m.area_px), sum(m.centroid_y * m.area_px) / sum(m.area_px),
    sum(m.centroid_x * m.area_px) / sum(m.area_px)
  from fragments_as_of(number, $2, $3) m group by m.segment_id;
end $$;
comment on function segments_as_of is 'The view segments as it was after an operation (final fragments only), or one row of it.';

create function segment_sections_as_of(volume text, as_of bigint, segment bigint default null)
returns table (segment_id bigint, z integer, area_px bigint, fragments integer, min_y integer,
  min_x integer, max_y integer, max_x integer, centroid_y double precision, centroid_x double precision, outline text)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  return query select m.segment_id, m.z, sum(m.area_px)::bigint, count(*)::integer,
    min(m.min_y), min(m.min_x), max(m.max_y), max(m.max_x), sum(m.centroid_y * m.area_px) / sum(m.area_px),
    sum(m.centroid_x * m.area_px) / sum(m.area_px),
    case when $3 is not null then outline_of(number, m.z,
      (select g.labels_operation_id from segmentation_as_of(number, m.z, $2) g),
      array_agg(m.label), min(m.min_y), min(m.min_x), max(m.max_y), max(m.max_x)) end
  from fragments_as_of(number, $2, $3) m group by m.segment_id, m.z order by m.segment_id, m.z;
end $$;
comment on function segment_sections_as_of is 'The view segment_sections as it was after an operation (final fragments only), or the rows of one segment; outlines for one segment only.';

create function sections_as_of(volume text, as_of bigint)
returns table (z integer, revision integer, state text, segmented_at timestamptz, fragments integer,
  source_path text, content_sha256 text, signature text, run_id bigint, operation_id bigint, section_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
  return query select g.z, s.revision, g.state, o.at, g.fragments, s.source_path, s.content_sha256, g.signature,
    g.run_id, g.operation_id, g.section_id
  from (
    select distinct on (g.z) g.* from section_segmentation g
    where g.volume_id = number and g.operation_id <= $2 and g.state = 'final' order by g.z, g.operation_id desc
  ) g
  join section s on s.section_id = g.section_id
  join operation o on o.operation_id = g.operation_id
  order by g.z;
end $$;
comment on function sections_as_of is 'The sections that were final after an operation, in the revision they then had.';

create function lineage_as_of(volume text, as_of bigint) returns setof lineage
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
begin
  perform volume_number($1);
  return query select l.* from lineage l where l.volume = $1 and l.operation_id <= $2 order by l.lineage_id;
end $$;
comment on function lineage_as_of is 'The view lineage as it was after an operation.';

create function ancestors(volume text, segment bigint, as_of bigint default null)
returns table (segment_id bigint, became bigint, event text, z integer, at timestamptz, operation_id bigint,
  lineage_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
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
comment on function ancestors is 'What a segment came from: every segment of which it holds, or has held, a part, with the event by which that became (part of) another one; latest first.';

create function descendants(volume text, segment bigint, as_of bigint default null)
returns table (segment_id bigint, came_from bigint, event text, z integer, at timestamptz, operation_id bigint,
  lineage_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
begin
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
comment on function descendants is 'What became of a segment: every segment that holds, or has held, a part of it, with the event by which it came there; earliest first.';

create function history(volume text, segment bigint, as_of bigint default null)
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
  ), told as (
    select l.* from part p
    cross join lateral (
      select * from lineage_event l where l.volume_id = number and l.segment_id = p.segment_id offset 0
    ) l where l.lineage_id <= p.lineage_id and ($3 is null or l.operation_id <= $3)
    union
    select l.* from part p
    cross join lateral (
      select * from lineage_event l where l.volume_id = number and l.other_segment_id = p.segment_id offset 0
    ) l where l.lineage_id <= p.lineage_id and ($3 is null or l.operation_id <= $3)
  )
  select t.event, t.segment_id, t.other_segment_id, t.z, t.cause_fragment_a, t.cause_fragment_b, t.score, o.at, o.kind,
    o.actor, o.run_id, t.operation_id, t.lineage_id
  from told t join operation o on o.operation_id = t.operation_id order by t.lineage_id;
end $$;
comment on function history is 'Everything that happened to a segment and, before they became part of it, to its ancestors, in order. Columns as in the view lineage.';

create function changes_since(operation bigint, volume text default null)
returns table (segment_id bigint, change text, now_segment_id bigint, events integer, first_z integer, last_z integer,
  last_operation_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := case when $2 is not null then volume_number($2) end;
begin
  if $1 = 0 and number is null then
    raise exception 'name the volume whose changes since the beginning are wanted' using errcode = 'invalid_parameter_value';
  elsif $1 <> 0 then
    number := (select o.volume_id from operation o where o.operation_id = $1 and (number is null or o.volume_id = number));
    if number is null then
      raise exception 'there is no operation %', $1 || coalesce(' of volume "' || $2 || '"', '')
        using errcode = 'invalid_parameter_value', hint = '0 stands for the beginning.';
    end if;
  end if;
  return query
  with touched as (
    select distinct c.segment_id, l.lineage_id, l.z, l.operation_id from lineage_event l
    cross join lateral (values (l.segment_id), (l.other_segment_id)) c (segment_id)
    where l.operation_id > $1 and l.volume_id = number and l.event <> 'settled' and c.segment_id is not null
  ), summed as (
    select t.segment_id, count(*)::integer as events, min(t.z) as first_z, max(t.z) as last_z,
      max(t.operation_id) as last_operation_id
    from touched t group by t.segment_id
  ), judged as (
    -- Live then: the last thing that had happened to the name was its birth, its new content, or a split that made it.
    select s.*, coalesce(l.live, false) as then_live, g.state = 'live' as now_live, g.successor_id
    from summed s join segment g on g.volume_id = number and g.segment_id = s.segment_id
    left join lateral (
      select e.live from (
        (select l.lineage_id, l.event = 'born' or l.other_segment_id is not null as live from lineage_event l
          where l.volume_id = number and l.segment_id = s.segment_id and l.event in ('born', 'revised')
            and l.operation_id <= $1
          order by l.lineage_id desc limit 1)
        union all
        (select l.lineage_id, l.event = 'split' from lineage_event l
          where l.volume_id = number and l.other_segment_id = s.segment_id and l.event in ('split', 'merged', 'revised')
            and l.other_segment_id <> l.segment_id and l.operation_id <= $1
          order by l.lineage_id desc limit 1)
      ) e order by e.lineage_id desc limit 1
    ) l on true
  )
  select j.segment_id,
    case when j.now_live and j.then_live then 'changed' when j.now_live then 'appeared' else 'retired' end,
    case when j.now_live then j.segment_id else j.successor_id end, j.events, j.first_z, j.last_z, j.last_operation_id
  from judged j where j.then_live or j.now_live order by j.segment_id;
end $$;
comment on function changes_since is 'Segments of a volume that are not what they were after an operation: appeared, changed (grown, merged, split, revised) or retired; what they are now part of (null: vanished), and the sections and the last operation of the changes. Those that came and went in between are left out. Operation 0, with the volume: since the beginning.';
