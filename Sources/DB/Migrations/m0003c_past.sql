-- What the record said after an operation. `as_of` null: now, sections that are not final yet included.

create function api_version() returns integer language sql immutable parallel safe return 1;
comment on function api_version is 'Version of the views and functions for people. It grows when one of them is removed, renamed or gives something else; new ones and new columns at the end do not change it.';

create function volume_number(volume text) returns integer
language plpgsql stable set search_path to fgnet, pg_temp as $$
declare
  found_id integer := (select v.volume_id from volume v where v.name = $1);
begin
  if found_id is null then
    raise exception 'no volume "%"', $1 using errcode = 'invalid_parameter_value', hint = coalesce(
      'There are: ' || (select string_agg(v.name, ', ' order by v.name) from volume v) || '.', 'There are none yet.');
  end if;
  return found_id;
end $$;
comment on function volume_number is 'The number of a volume, given its name. SQLSTATE 22023 if there is none.';

create function as_of(volume text, section integer default null, at timestamptz default null, run bigint default null,
  operation bigint default null) returns bigint
language plpgsql stable set search_path to fgnet, pg_temp as $$
declare
  number integer := volume_number($1);
  moment bigint;
begin
  if num_nonnulls($2, $3, $4, $5) <> 1 then
    raise exception 'as_of takes one of section, at, run and operation' using errcode = 'invalid_parameter_value';
  end if;
  if $2 is not null then
    moment := (select min(s.operation_id) from section_segmentation s
      where s.volume_id = number and s.z = $2 and s.state = 'final');
    if moment is null then
      raise exception 'section % of volume "%" is not final', $2, $1 using errcode = 'no_data_found';
    end if;
  elsif $3 is not null then
    moment := coalesce((select max(o.operation_id) from operation o where o.volume_id = number and o.at <= $3), 0);
  elsif $4 is not null then
    if not exists (select from run r where r.run_id = $4 and r.volume_id = number) then
      raise exception 'run % is not one of volume "%"', $4, $1 using errcode = 'invalid_parameter_value';
    end if;
    moment := coalesce((select max(o.operation_id) from operation o where o.volume_id = number and o.run_id = $4), 0);
  else
    if not exists (select from operation o where o.operation_id = $5 and o.volume_id = number) then
      raise exception 'operation % is not one of volume "%"', $5, $1 using errcode = 'invalid_parameter_value';
    end if;
    moment := $5;
  end if;
  return moment;
end $$;
comment on function as_of is 'A moment, for the functions that take one: when a section first became final, at a time (operations are ordered by their start), at the end of a run, or after an operation. Give one. 0: before everything.';

create function root_as_of(volume_number integer, segment bigint, as_of bigint) returns bigint
language sql stable set search_path to fgnet, pg_temp as $$
  with recursive up (segment_id, step) as (
    select $2, 0
    union all
    select c.parent, u.step + 1 from up u
    cross join lateral (
      select e.parent from (
        (select l.lineage_id, null::bigint as parent from lineage_event l
          where l.volume_id = $1 and l.segment_id = u.segment_id and l.event in ('born', 'revised')
            and l.operation_id <= $3
          order by l.lineage_id desc limit 1)
        union all
        (select l.lineage_id, case when l.event = 'split' then null else l.segment_id end from lineage_event l
          where l.volume_id = $1 and l.other_segment_id = u.segment_id and l.event in ('split', 'merged', 'revised')
            and l.other_segment_id <> l.segment_id and l.operation_id <= $3
          order by l.lineage_id desc limit 1)
      ) e order by e.lineage_id desc limit 1
    ) c where c.parent is not null
  )
  select u.segment_id from up u order by u.step desc limit 1
$$;
comment on function root_as_of is 'The segment that a segment was part of after an operation: itself, if nothing had taken it in.';

create function parts_as_of(volume_number integer, segment bigint, as_of bigint) returns table (segment_id bigint)
language sql stable set search_path to fgnet, pg_temp set jit to off as $$
  with recursive part (segment_id) as (
    select $2 where root_as_of($1, $2, $3) = $2
    union
    select c.other_segment_id from part p
    join lineage_event c on c.volume_id = $1 and c.segment_id = p.segment_id and c.event in ('merged', 'revised')
      and c.other_segment_id <> c.segment_id and c.operation_id <= $3
    -- Nothing happened to it since, up to the moment.
    where not exists (
        select from lineage_event l where l.volume_id = $1 and l.segment_id = c.other_segment_id
          and l.event in ('born', 'revised') and l.lineage_id > c.lineage_id and l.operation_id <= $3)
      and not exists (
        select from lineage_event l where l.volume_id = $1 and l.other_segment_id = c.other_segment_id
          and l.event in ('split', 'merged', 'revised') and l.lineage_id > c.lineage_id and l.operation_id <= $3
          and (l.event = 'split' or l.segment_id <> c.segment_id))
  )
  select p.segment_id from part p
$$;
comment on function parts_as_of is 'The names under which the fragments of a segment were recorded that it consisted of after an operation: its own, and those of the segments it had taken in.';

create function fragments_as_of(volume_number integer, as_of bigint default null, segment bigint default null,
  first_z integer default null, last_z integer default null)
returns table (fragment_id bigint, segment_id bigint, z integer, label integer, area_px bigint, min_y integer,
  min_x integer, max_y integer, max_x integer, centroid_y double precision, centroid_x double precision, final boolean)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
begin
  -- `offset 0`: one look-up for each name of the segment, never a walk over all fragments.
  if $2 is null and $3 is not null then
    return query select f.fragment_id, s.live_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x,
      f.centroid_y, f.centroid_x, f.state = 'final'
    from segment s
    cross join lateral (
      select * from fragment f where f.volume_id = $1 and f.segment_id = s.segment_id offset 0
    ) f
    where s.volume_id = $1 and s.live_id = $3
      and ($4 is null or f.z >= $4) and ($5 is null or f.z <= $5);
  elsif $2 is null then
    return query select f.fragment_id, s.live_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x,
      f.centroid_y, f.centroid_x, f.state = 'final'
    from fragment f join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
    where f.volume_id = $1 and f.z between coalesce($4, -131072) and coalesce($5, 131071);
  elsif $3 is not null then
    return query
    with part as materialized (select p.segment_id from parts_as_of($1, $3, $2) p)
    select f.fragment_id, $3, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.centroid_y, f.centroid_x,
      true
    from part p
    cross join lateral (
      select * from fragment f where f.volume_id = $1 and f.segment_id = p.segment_id offset 0
    ) f
    where f.state = 'final' and f.operation_id <= $2 and ($4 is null or f.z >= $4) and ($5 is null or f.z <= $5)
    union all
    select h.fragment_id, $3, h.z, h.label, h.area_px, h.min_y, h.min_x, h.max_y, h.max_x, h.centroid_y, h.centroid_x,
      true
    from part p
    cross join lateral (
      select * from fragment_history h where h.volume_id = $1 and h.segment_id = p.segment_id offset 0
    ) h
    where h.operation_id <= $2 and h.until_operation_id > $2 and ($4 is null or h.z >= $4) and ($5 is null or h.z <= $5);
  elsif $4 is null and $5 is null then
    -- Of a whole volume: all events once. Otherwise each segment's own.
    return query
    with placed as (
      select f.fragment_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.centroid_y, f.centroid_x
      from fragment f where f.volume_id = $1 and f.state = 'final' and f.operation_id <= $2
      union all
      select h.fragment_id, h.z, h.label, h.area_px, h.min_y, h.min_x, h.max_y, h.max_x, h.centroid_y, h.centroid_x
      from fragment_history h where h.volume_id = $1 and h.operation_id <= $2 and h.until_operation_id > $2
    )
    select p.fragment_id, m.segment_id, p.z, p.label, p.area_px, p.min_y, p.min_x, p.max_y, p.max_x, p.centroid_y,
      p.centroid_x, true
    from membership_as_of($1, $2) m join placed p on p.fragment_id = m.fragment_id;
  else
    return query
    with placed as materialized (
      select f.fragment_id, f.segment_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.centroid_y,
        f.centroid_x
      from fragment f where f.volume_id = $1 and f.state = 'final' and f.operation_id <= $2
        and f.z between coalesce($4, -131072) and coalesce($5, 131071)
      union all
      select h.fragment_id, h.segment_id, h.z, h.label, h.area_px, h.min_y, h.min_x, h.max_y, h.max_x, h.centroid_y,
        h.centroid_x
      from fragment_history h where h.volume_id = $1 and h.operation_id <= $2 and h.until_operation_id > $2
        and h.z between coalesce($4, -131072) and coalesce($5, 131071)
    ), root as materialized (
      select d.segment_id, root_as_of($1, d.segment_id, $2) as root
      from (select distinct p.segment_id from placed p) d
    )
    select p.fragment_id, r.root, p.z, p.label, p.area_px, p.min_y, p.min_x, p.max_y, p.max_x, p.centroid_y,
      p.centroid_x, true
    from placed p join root r on r.segment_id = p.segment_id;
  end if;
end $$;
comment on function fragments_as_of is 'Fragments with their segments after an operation, of one segment and some sections only if they are given.';

create function segmentation_as_of(volume_number integer, z integer, as_of bigint default null)
returns setof section_segmentation
language sql stable rows 1 set search_path to fgnet, pg_temp as $$
  select s.* from section_segmentation s
  where s.volume_id = $1 and s.z = $2 and ($3 is null or (s.operation_id <= $3 and s.state = 'final'))
  order by s.operation_id desc limit 1
$$;
comment on function segmentation_as_of is 'What was shown of a section after an operation.';
