-- Called many times by one question: in PL/pgSQL the plans of their statements are kept, in SQL each call makes them anew.

create or replace function closed_volumes() returns integer[]
language plpgsql stable set search_path to fgnet, pg_temp as $$
begin
  if not exists (select from volume_access) then return '{}'; end if;
  return (select coalesce(array_agg(c.volume_id), '{}') from (
    select a.volume_id from volume_access a
    left join pg_roles r on r.rolname = a.role_name
    group by a.volume_id having not coalesce(bool_or(pg_has_role(r.oid, 'member')), false)
  ) c
  where not exists (
    select from pg_roles r where r.rolname = 'fgnet_administrator' and pg_has_role(r.oid, 'member')));
end $$;

create or replace function root_as_of(volume_number integer, segment bigint, as_of bigint) returns bigint
language plpgsql stable set search_path to fgnet, pg_temp as $$
begin
  return (
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
  );
end $$;

create or replace function parts_as_of(volume_number integer, segment bigint, as_of bigint) returns table (segment_id bigint)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
begin
  return query
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
  select p.segment_id from part p;
end $$;

create or replace function segmentation_as_of(volume_number integer, z integer, as_of bigint default null)
returns setof section_segmentation
language plpgsql stable rows 1 set search_path to fgnet, pg_temp as $$
begin
  return query
  select s.* from section_segmentation s
  where s.volume_id = $1 and s.z = $2 and ($3 is null or (s.operation_id <= $3 and s.state = 'final'))
  order by s.operation_id desc limit 1;
end $$;
