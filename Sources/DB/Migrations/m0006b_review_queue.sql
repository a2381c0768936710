-- Where a person should look next (docs/decisions/0012-review-queue.md).

create function join_by_score(areas double precision[], tails integer[], heads integer[], out edge integer[],
  out area_a double precision[], out area_b double precision[], out largest_a integer[], out largest_b integer[])
language plpgsql immutable set search_path = fgnet, pg_temp as $$
declare
  nodes constant integer := coalesce(cardinality(areas), 0);
  parent integer[] := array(select generate_series(1, nodes));
  largest integer[] := parent;
  total double precision[] := areas;
  joined integer := 0;
  a integer;
  b integer;
  other integer;
begin
  for i in 1 .. coalesce(cardinality(tails), 0) loop
    a := parent[tails[i]];
    b := parent[heads[i]];
    continue when a = b;
    while parent[a] <> a loop
      parent[a] := parent[parent[a]];
      a := parent[a];
    end loop;
    while parent[b] <> b loop
      parent[b] := parent[parent[b]];
      b := parent[b];
    end loop;
    if a = b then
      parent[tails[i]] := a;
      parent[heads[i]] := a;
      continue;
    end if;
    joined := joined + 1;
    edge[joined] := i;
    area_a[joined] := total[a];
    area_b[joined] := total[b];
    largest_a[joined] := largest[a];
    largest_b[joined] := largest[b];
    if total[a] < total[b] then
      other := a;
      a := b;
      b := other;
    end if;
    parent[b] := a;
    total[a] := total[a] + total[b];
    if areas[largest[b]] > areas[largest[a]]
      or (areas[largest[b]] = areas[largest[a]] and largest[b] < largest[a])
    then
      largest[a] := largest[b];
    end if;
  end loop;
end $$;
comment on function join_by_score is 'Takes edges (places of their ends) in the order given and joins what they connect. For each edge that joined two pieces: its place, and of the pieces with its tail (a) and its head (b) the area and the place of the largest node.';

create function voi_bits(a double precision, b double precision, everything double precision) returns double precision
language sql immutable strict parallel safe
return ((a + b) * ln(a + b) - a * ln(a) - b * ln(b)) / ln(2.0::double precision) / everything;
comment on function voi_bits is 'By how many bits the variation of information changes if two pieces of a and b voxels, of everything, are taken apart or put together.';

create function review_queue_of(volume text, items integer default 100, first_z integer default null,
  last_z integer default null, threshold double precision default null)
returns table (rank integer, kind text, segment_a bigint, segment_b bigint, fragment_a bigint, fragment_b bigint,
  z integer, y double precision, x double precision, contact_a bigint, contact_b bigint, contact_area_px integer, score real,
  voxels_a bigint, voxels_b bigint, change_bits double precision, doubt double precision, priority double precision,
  if_wrong text, if_right text)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off set enable_nestloop to off
  set max_parallel_workers_per_gather to 0 set work_mem to '64MB' as $$
#variable_conflict use_column
declare
  number integer := volume_number($1);
  low constant integer := coalesce($3, -131072);
  high constant integer := coalesce($4, 131071);
  -- Doubt falls by e in this distance of the score from the threshold; below e^-5 nothing is asked.
  width constant double precision := 0.05;
  reach constant double precision := 5 * width;
  turn double precision;
  everything double precision;
  nodes bigint[];
  owners bigint[];
  areas double precision[];
  bottom integer;
  top integer;
  starts integer[];
  odd integer;
  tails integer[];
  heads integer[];
  weak_tails integer[];
  weak_heads integer[];
  weak_scores real[];
  sure integer;
  joined record;
begin
  if $2 is null or $2 < 1 then
    raise exception 'items: % is not at least 1', coalesce($2::text, 'null') using errcode = '22023';
  elsif low > high then
    raise exception 'first_z, last_z: % is above %', $3, $4 using errcode = '22023';
  elsif $5 not between 0 and 1 then
    raise exception 'threshold: % is not within 0 and 1', $5 using errcode = '22023';
  end if;
  turn := coalesce($5, (
    select coalesce(max(e.score) filter (where not e.accepted), min(e.score)) from region_edge e
    where e.volume_id = number and e.z between low and high));
  select array_agg(f.fragment_id order by f.fragment_id), array_agg(s.live_id order by f.fragment_id),
    array_agg(f.area_px::double precision order by f.fragment_id), sum(f.area_px), min(f.z), max(f.z)
  into nodes, owners, areas, everything, bottom, top
  from fragment f join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
  where f.volume_id = number and f.state = 'final' and f.z between low and high;
  if nodes is null or turn is null then return; end if;
  -- The labels of a section are 1, 2, 3, ...: a fragment's place in the arrays is its label behind those of the sections below.
  select array_agg(q.below order by q.z), min(q.z) filter (where q.fragments < q.last_label) into starts, odd
  from (
    select g.z, count(f.fragment_id) as fragments, max(f.label) as last_label,
      (sum(count(f.fragment_id)) over (order by g.z) - count(f.fragment_id))::integer as below
    from generate_series(bottom, top) g (z)
    left join fragment f on f.volume_id = number and f.state = 'final' and f.z = g.z group by g.z
  ) q;
  if odd is not null then
    raise exception 'the labels of the fragments of section % are not consecutive', odd using errcode = 'data_corrupted';
  end if;

  -- Merges: what is joined last, by the weakest edge, has no better connection than that edge. Edges that are not asked
  -- about come first, in any order.
  select array_agg(p.tail) filter (where p.is_sure), array_agg(p.head) filter (where p.is_sure),
    array_agg(p.tail order by p.score desc, p.tail, p.head) filter (where not p.is_sure),
    array_agg(p.head order by p.score desc, p.tail, p.head) filter (where not p.is_sure),
    array_agg(p.score order by p.score desc, p.tail, p.head) filter (where not p.is_sure)
  into tails, heads, weak_tails, weak_heads, weak_scores
  from (
    select starts[(e.fragment_a >> 45) - 131071 - bottom] + (e.fragment_a & 8388607)::integer as tail,
      starts[(e.fragment_b >> 45) - 131071 - bottom] + (e.fragment_b & 8388607)::integer as head, e.score,
      e.corrected or e.score > turn + reach as is_sure
    from effective_edge e
    where e.volume_id = number and e.z between low and high and e.fragment_a >= nodes[1]
  ) p;
  sure := coalesce(cardinality(tails), 0);
  tails := tails || weak_tails;
  heads := heads || weak_heads;
  joined := join_by_score(areas, tails, heads);

  return query
  with locked as materialized (
    select distinct c.segment_a from correction c
    where c.volume_id = number and c.decision = 'lock' and c.until_operation_id is null
  ), parted as materialized (
    select distinct least(c.segment_a, c.segment_b) as segment_a, greatest(c.segment_a, c.segment_b) as segment_b
    from correction c
    where c.volume_id = number and c.decision in ('separate', 'refuse') and c.until_operation_id is null
  ), merge as (
    select 'merge' as kind, owners[tails[j.edge]] as segment_a, owners[tails[j.edge]] as segment_b,
      nodes[j.largest_a] as fragment_a, nodes[j.largest_b] as fragment_b, nodes[tails[j.edge]] as contact_a,
      nodes[heads[j.edge]] as contact_b, weak_scores[j.edge - sure] as score, j.area_a as voxels_a, j.area_b as voxels_b
    from unnest(joined.edge, joined.area_a, joined.area_b, joined.largest_a, joined.largest_b)
      j (edge, area_a, area_b, largest_a, largest_b)
    where j.edge > sure and abs(weak_scores[j.edge - sure] - turn) <= reach
  ), size as materialized (
    -- With the place of the largest fragment, of equal ones the first: areas in the upper bits, what is behind it in the lower.
    select o.segment, sum(o.area) as voxels,
      cardinality(nodes) - (max((o.area::bigint << 32) + cardinality(nodes) - o.place) & 4294967295)::integer as largest
    from unnest(owners, areas) with ordinality o (segment, area, place) group by o.segment
  ), near as (
    select e.fragment_a, e.fragment_b, e.contact_area_px, e.score,
      owners[starts[(e.fragment_a >> 45) - 131071 - bottom] + (e.fragment_a & 8388607)::integer] as segment_a,
      owners[starts[(e.fragment_b >> 45) - 131071 - bottom] + (e.fragment_b & 8388607)::integer] as segment_b
    from region_edge e
    where e.volume_id = number and e.z between low and high and e.fragment_a >= nodes[1] and not e.accepted
      and abs(e.score - turn) <= reach
  ), open as (
    select n.* from near n where n.segment_a <> n.segment_b
  ), split as (
    select distinct on (least(o.segment_a, o.segment_b), greatest(o.segment_a, o.segment_b)) o.* from open o
    order by least(o.segment_a, o.segment_b), greatest(o.segment_a, o.segment_b), o.score desc, o.contact_area_px desc,
      o.fragment_a, o.fragment_b
  ), candidate as (
    select m.* from merge m
    union all
    select 'split', s.segment_a, s.segment_b, nodes[a.largest], nodes[b.largest], s.fragment_a, s.fragment_b, s.score,
      a.voxels, b.voxels
    from split s join size a on a.segment = s.segment_a join size b on b.segment = s.segment_b
  ), weighed as (
    select c.*, voi_bits(c.voxels_a, c.voxels_b, everything) as change_bits, exp(-abs(c.score - turn) / width) as doubt
    from candidate c
    where not exists (select from locked l where l.segment_a = c.segment_a)
      and not exists (select from locked l where l.segment_a = c.segment_b)
      and not exists (select from parted p
        where p.segment_a = least(c.segment_a, c.segment_b) and p.segment_b = greatest(c.segment_a, c.segment_b))
  ), first as materialized (
    select w.*, w.change_bits * w.doubt as priority,
      row_number() over (order by w.change_bits * w.doubt desc, w.contact_a, w.contact_b)::integer as rank
    from weighed w order by rank limit $2
  )
  select t.rank, t.kind, t.segment_a, t.segment_b, t.fragment_a, t.fragment_b, f.z, f.centroid_y, f.centroid_x, t.contact_a,
    t.contact_b, f.contact_area_px, t.score, t.voxels_a::bigint, t.voxels_b::bigint, t.change_bits, t.doubt, t.priority,
    case t.kind
      when 'merge' then format('select split(%L, %s, %s, %s, ''review: two neurites'')', $1, t.segment_a, t.fragment_a, t.fragment_b)
      else format('select merge(%L, %s, %s, ''review: one neurite'')', $1, t.segment_a, t.segment_b) end,
    format('select confirm(%L, %s, %s, %L)', $1, t.fragment_a, t.fragment_b,
      case t.kind when 'merge' then 'review: one neurite' else 'review: two neurites' end)
  from first t
  cross join lateral (
    select f.z, f.centroid_y, f.centroid_x, e.contact_area_px from fragment f, region_edge e
    where f.volume_id = number and f.fragment_id = t.contact_b and e.volume_id = number and e.fragment_a = t.contact_a
      and e.fragment_b = t.contact_b offset 0
  ) f
  order by t.rank;
end $$;
comment on function review_queue_of is 'The first items of the review queue of a volume, or of some of its sections: then sizes, too, are those within the sections. Columns as in the view review_queue. threshold: the score at which decisions turn; not given, the highest score of an edge that was not accepted.';

create view review_queue with (security_invoker = true) as
select v.name as volume, q.rank, q.kind, q.segment_a, q.segment_b, q.fragment_a, q.fragment_b, q.z, q.y, q.x, q.contact_a,
  q.contact_b, q.contact_area_px, q.score, q.voxels_a, q.voxels_b, q.change_bits, q.doubt, q.priority, q.if_wrong, q.if_right
from volume v cross join lateral review_queue_of(v.name) q;
comment on view review_queue is 'Where a person should look next: the 100 most doubtful decisions of every volume, by how much they would change times how unsure they are. Decisions that people made, and locked segments, are left out. Computed when asked for (docs/proofreading.md says how long it takes); review_queue_of gives more items, or those of some sections.';
comment on column review_queue.volume is 'Name of the volume.';
comment on column review_queue.rank is '1 for what should be looked at first.';
comment on column review_queue.kind is 'merge: two pieces were joined; are they of one neurite? split: two segments were not joined; are they of two?';
comment on column review_queue.segment_a is 'merge: the segment of both pieces. split: one of the segments.';
comment on column review_queue.segment_b is 'merge: as segment_a. split: the other segment.';
comment on column review_queue.fragment_a is 'The largest fragment of one piece, or of segment_a.';
comment on column review_queue.fragment_b is 'The largest fragment of the other piece, or of segment_b.';
comment on column review_queue.z is 'Where to look: section of contact_b.';
comment on column review_queue.y is 'Where to look: centre of contact_b, row.';
comment on column review_queue.x is 'Where to look: centre of contact_b, column.';
comment on column review_queue.contact_a is 'Fragment at one side of the contact that was decided on.';
comment on column review_queue.contact_b is 'Fragment at its other side.';
comment on column review_queue.contact_area_px is 'Pixel pairs in that contact.';
comment on column review_queue.score is 'Score of that contact, 0 to 1.';
comment on column review_queue.voxels_a is 'merge: voxels that one piece had when all better contacts were taken. split: voxels of segment_a.';
comment on column review_queue.voxels_b is 'The same of the other piece or segment.';
comment on column review_queue.change_bits is 'How much it would change: variation of information between the segmentation with the decision and without it, bits.';
comment on column review_queue.doubt is 'How unsure it is: 1 at the threshold, falls by e for each 0.05 that the score is away from it. Not a probability.';
comment on column review_queue.priority is 'change_bits times doubt; the queue is in its order.';
comment on column review_queue.if_wrong is 'The statement that corrects the decision.';
comment on column review_queue.if_right is 'The statement that says it is right, and takes it out of the queue.';
