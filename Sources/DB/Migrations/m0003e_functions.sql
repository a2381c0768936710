-- Functions for people. Volumes by name; boxes half open, in pixels and sections; `as_of`: a moment, see the function as_of.

create function segment_at(volume text, z integer, y integer, x integer, as_of bigint default null) returns bigint
language plpgsql stable set search_path to fgnet, pg_temp as $$
declare
  number integer := volume_number($1);
  shape record;
  shown section_segmentation;
  found_label integer;
  assigned bigint;
begin
  select v.height, v.width into shape from volume v where v.volume_id = number;
  if $3 not between 0 and coalesce(shape.height, 0) - 1 then
    raise exception 'y % is outside of volume "%", which has rows 0 to %', $3, $1, coalesce(shape.height, 0) - 1
      using errcode = 'invalid_parameter_value';
  elsif $4 not between 0 and coalesce(shape.width, 0) - 1 then
    raise exception 'x % is outside of volume "%", which has columns 0 to %', $4, $1, coalesce(shape.width, 0) - 1
      using errcode = 'invalid_parameter_value';
  end if;
  select * into shown from segmentation_as_of(number, $2, $5);
  if shown.fragment_base is null then return null; end if;
  if shown.labels_operation_id is null then
    raise exception 'the label tiles of section % of volume "%" are not in the database', $2, $1
      using errcode = 'object_not_in_prerequisite_state',
        hint = 'The daemon adds them when it has nothing else to do. Those of revisions before schema step 3 were not kept.';
  end if;
  select label_in_tile(t.runs, t.height_px, $3 % 256, $4 % 256) into strict found_label from label_tile t
  where t.volume_id = number and t.z = $2 and t.operation_id = shown.labels_operation_id
    and t.min_y = $3 - $3 % 256 and t.min_x = $4 - $4 % 256;
  if found_label = 0 then return null; end if;
  if $5 is null then
    return (select s.live_id from fragment f
      join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
      where f.volume_id = number and f.fragment_id = shown.fragment_base + found_label);
  end if;
  select p.segment_id into assigned from (
    select f.segment_id from fragment f where f.volume_id = number and f.fragment_id = shown.fragment_base + found_label
      and f.state = 'final' and f.operation_id <= $5
    union all
    select h.segment_id from fragment_history h where h.volume_id = number
      and h.fragment_id = shown.fragment_base + found_label and h.operation_id <= $5 and h.until_operation_id > $5
  ) p;
  return root_as_of(number, assigned, $5);
end $$;
comment on function segment_at is 'The segment at a voxel, exactly. Null where there is none: on a border, and in sections without segments. SQLSTATE 22023 outside of the volume.';

create function segments_in(volume text, min_z integer, min_y integer, min_x integer, max_z integer, max_y integer,
  max_x integer, as_of bigint default null)
returns table (segment_id bigint, voxels bigint, first_z integer, last_z integer)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
  unfilled integer;
begin
  if $2 >= $5 or $3 >= $6 or $4 >= $7 then
    raise exception 'the box is empty: max_z, max_y and max_x are the first section, row and column outside of it'
      using errcode = 'invalid_parameter_value';
  end if;
  return query
  with near as materialized (
    select f.* from fragments_as_of(number, $8, null, $2, $5 - 1) f
    where f.min_y < $6 and f.max_y > $3 and f.min_x < $7 and f.max_x > $4
  ), split as materialized (
    select n.*, n.min_y >= $3 and n.max_y <= $6 and n.min_x >= $4 and n.max_x <= $7 as inside from near n
  ), cut as (
    select r.z, r.label, sum(r.pixels)::bigint as pixels from (
      select c.z, o.label, o.end_x - o.first_x as pixels
      from (select s.z, array_agg(s.label) as labels from split s where not s.inside group by s.z) c
      cross join lateral segmentation_as_of(number, c.z, $8) g
      cross join lateral runs_of(number, c.z, g.labels_operation_id, c.labels, $3, $4, $6, $7) o
    ) r group by r.z, r.label
  ), counted as (
    select s.segment_id, s.z, s.area_px as pixels from split s where s.inside
    union all
    select s.segment_id, s.z, c.pixels from split s join cut c on c.z = s.z and c.label = s.label where not s.inside
  )
  select c.segment_id, sum(c.pixels)::bigint, min(c.z), max(c.z) from counted c group by c.segment_id
  order by 2 desc, 1;
  select min(g.z) into unfilled from section_segmentation g
  where g.volume_id = number and g.z >= $2 and g.z < $5 and g.labels_operation_id is null and g.fragments > 0
    and g.operation_id = (select s.operation_id from segmentation_as_of(number, g.z, $8) s);
  if unfilled is not null then
    raise exception 'the label tiles of section % of volume "%" are not in the database', unfilled, $1
      using errcode = 'object_not_in_prerequisite_state',
        hint = 'The daemon adds them when it has nothing else to do. Those of revisions before schema step 3 were not kept.';
  end if;
end $$;
comment on function segments_in is 'The segments that have voxels in a box, and how many there, exactly; largest share first.';

create function neighbours(volume text, segment bigint, as_of bigint default null)
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
    select case when h.fragment_a = m.fragment_id then h.fragment_b else h.fragment_a end, h.contact_area_px,
      h.mean_affinity, h.score
    from member m
    join region_edge_history h on h.volume_id = number and m.fragment_id in (h.fragment_a, h.fragment_b)
    where $3 is not null and h.operation_id <= $3 and h.until_operation_id > $3
  ), contact as materialized (
    select e.* from edge e where not exists (select from member m where m.fragment_id = e.outside)
  ), placed as (
    select c.*, case when $3 is null then (select s.live_id from fragment f
        join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
        where f.volume_id = number and f.fragment_id = c.outside)
      else root_as_of(number, coalesce((select h.segment_id from fragment_history h
        where h.volume_id = number and h.fragment_id = c.outside and h.operation_id <= $3 and h.until_operation_id > $3),
        (select f.segment_id from fragment f where f.volume_id = number and f.fragment_id = c.outside)), $3)
      end as segment_id
    from contact c
  )
  select p.segment_id, sum(p.contact_area_px)::bigint, count(*)::integer,
    sum(p.mean_affinity::double precision * p.contact_area_px) / nullif(sum(p.contact_area_px), 0), max(p.score)
  from placed p group by p.segment_id order by 2 desc, 1;
end $$;
comment on function neighbours is 'Segments in contact with a segment: pixel pairs in contact, number of contacts, mean affinity over the contact area, and the best score of an edge between them. Final fragments only.';
