-- What people call to correct segments. Every call is one operation, and has the volume for itself until its transaction
-- ends. All take a volume by name, a reason, and who decided (default: the database user), and give the operation.

create function contact_of(volume_id integer, a bigint, b bigint, out fragment_a bigint, out fragment_b bigint, out score real)
language plpgsql stable set search_path = fgnet, pg_temp as $$
#variable_conflict use_column
declare
  nodes_a bigint[] := (region_nodes($1, a));
  nodes_b bigint[] := (region_nodes($1, b));
  few bigint[] := case when cardinality(nodes_a) < cardinality(nodes_b) then nodes_a else nodes_b end;
  other bigint := case when cardinality(nodes_a) < cardinality(nodes_b) then b else a end;
  apart integer;
begin
  select e.fragment_a, e.fragment_b, e.score into contact_of.fragment_a, contact_of.fragment_b, contact_of.score
  from unnest(few) n (id)
  cross join lateral (
    (select e.*, e.fragment_b as far from region_edge e where e.volume_id = $1 and e.fragment_a = n.id offset 0)
    union all
    (select e.*, e.fragment_a from region_edge e where e.volume_id = $1 and e.fragment_b = n.id offset 0)
  ) e
  cross join lateral (
    select s.live_id from fragment f join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
    where f.volume_id = $1 and f.fragment_id = e.far offset 0
  ) l
  where l.live_id = other
  order by e.score desc, e.contact_area_px desc, e.fragment_a, e.fragment_b limit 1;
  if found then return; end if;
  -- They do not touch: the nearest sections, and there the nearest centres.
  select min(abs(p.z - q.z)) into apart
  from (select distinct n.id >> 45 as z from unnest(nodes_a) n (id)) p
  cross join (select distinct n.id >> 45 as z from unnest(nodes_b) n (id)) q;
  select least(p.fragment_id, q.fragment_id), greatest(p.fragment_id, q.fragment_id)
  into contact_of.fragment_a, contact_of.fragment_b
  from (select f.* from fragment f where f.volume_id = $1 and f.fragment_id = any (nodes_a)) p
  join (select f.* from fragment f where f.volume_id = $1 and f.fragment_id = any (nodes_b)) q
    on q.z in (p.z - apart, p.z + apart)
  join volume v on v.volume_id = $1
  order by ((p.centroid_y - q.centroid_y) * v.voxel_y_nm) ^ 2 + ((p.centroid_x - q.centroid_x) * v.voxel_x_nm) ^ 2, 1, 2
  limit 1;
end $$;
comment on function contact_of is 'The pair of fragments that joins two segments best: the edge with the highest score between them, or, if they do not touch, the nearest centres in the nearest sections (score null).';

create function merge(volume text, a bigint, b bigint, reason text, actor text default null) returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  number constant integer := edit_volume($1);
  pair record;
  made bigint;
begin
  perform check_segment(number, $2, 'a');
  perform check_segment(number, $3, 'b');
  if $2 = $3 then
    raise exception 'a, b: % is one segment', $2 using errcode = '22023';
  end if;
  pair := contact_of(number, $2, $3);
  made := begin_edit('merge', number, array[pair.fragment_a, pair.fragment_b], $4, $5);
  update correction c set until_operation_id = made
  where c.volume_id = number and c.until_operation_id is null and c.decision in ('separate', 'refuse')
    and ((c.segment_a = $2 and c.segment_b = $3) or (c.segment_a = $3 and c.segment_b = $2));
  perform add_correction(number, 'join', pair.fragment_a, pair.fragment_b, made, made);
  perform join_segments(number, $2, $3, made, pair.fragment_a, pair.fragment_b, pair.score);
  perform close_conflicts(number, made);
  return made;
end $$;
comment on function merge is 'Joins two segments; the older one survives. Ends what kept the two apart. Returns the operation.';

create function split_edges(
  volume_id integer, segment_id bigint, graph record, apart boolean[], reason text, actor text
) returns bigint
language plpgsql set search_path = fgnet, pg_temp as $$
declare
  made bigint;
  cut_a bigint[];
  cut_b bigint[];
  cause real;
begin
  select array_agg(e.a order by e.capacity desc, e.a, e.b), array_agg(e.b order by e.capacity desc, e.a, e.b)
  into cut_a, cut_b
  from (
    select distinct on (t.tail, t.head) graph.nodes[t.tail] as a, graph.nodes[t.head] as b, t.capacity
    from unnest(graph.tails, graph.heads, graph.capacities) t (tail, head, capacity)
    where apart[t.tail] <> apart[t.head] order by t.tail, t.head, t.capacity desc
  ) e;
  made := begin_edit('split', $1, cut_a || cut_b, $5, $6);
  perform add_correction($1, 'separate', c.a, c.b, made, made) from unnest(cut_a, cut_b) c (a, b);
  cause := (select e.score from region_edge e
    where e.volume_id = $1 and e.fragment_a = cut_a[1] and e.fragment_b = cut_b[1]);
  perform rebuild_segments($1, array[$2], made, cut_a[1], cut_b[1], cause);
  return made;
end $$;
comment on function split_edges is 'Separates the ends of the edges between the nodes that are apart and the others.';

create function split(volume text, segment bigint, fragments bigint[], reason text, actor text default null)
returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  number constant integer := edit_volume($1);
  graph record;
  stranger bigint;
begin
  perform check_segment(number, $2, 'segment');
  graph := region_graph(number, array[$2]);
  if coalesce(cardinality($3), 0) = 0 then
    raise exception 'fragments: name at least one' using errcode = '22023';
  end if;
  stranger := (select min(f.id) from unnest($3) f (id) where f.id is null or f.id <> all (graph.nodes));
  if stranger is not null or array_position($3, null) is not null then
    raise exception 'fragments: % is not a final fragment of segment %', coalesce(stranger::text, 'null'), $2
      using errcode = '22023';
  end if;
  if graph.nodes <@ $3 then
    raise exception 'fragments: these are all of segment %, nothing would be left of it', $2 using errcode = '22023';
  end if;
  return split_edges(number, $2, graph,
    array(select n.id = any ($3) from unnest(graph.nodes) with ordinality n (id, place) order by n.place), $4, $5);
end $$;
comment on function split(text, bigint, bigint[], text, text) is 'Takes fragments out of a segment. What is not connected without the others becomes a segment each, on both sides. No edge found later joins them again. Returns the operation.';

create function split(
  volume text, segment bigint, fragment_a bigint, fragment_b bigint, reason text, actor text default null
) returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  number constant integer := edit_volume($1);
  graph record;
  ends integer[];
begin
  perform check_segment(number, $2, 'segment');
  graph := region_graph(number, array[$2]);
  ends := numbers_of(graph.nodes, array[$3, $4]);
  if ends[1] is null or ends[2] is null then
    raise exception 'fragment_%: % is not a final fragment of segment %', case when ends[1] is null then 'a' else 'b' end,
      coalesce(case when ends[1] is null then $3 else $4 end::text, 'null'), $2 using errcode = '22023';
  elsif $3 = $4 then
    raise exception 'fragment_a, fragment_b: % is one fragment', $3 using errcode = '22023';
  end if;
  return split_edges(number, $2, graph,
    minimum_cut(cardinality(graph.nodes), graph.tails, graph.heads, graph.capacities, ends[1], ends[2]), $5, $6);
end $$;
comment on function split(text, bigint, bigint, bigint, text, text) is 'Splits a segment between two of its fragments, where the contacts have the least affinity in sum (a minimum cut of the region graph). Returns the operation.';

create function split(
  volume text, segment bigint, point_a integer[], point_b integer[], reason text, actor text default null
) returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  number constant integer := edit_volume($1);
begin
  perform check_segment(number, $2, 'segment');
  return split($1, $2, fragment_of_point(number, $2, $3, 'point_a'), fragment_of_point(number, $2, $4, 'point_b'), $5, $6);
end $$;
comment on function split(text, bigint, integer[], integer[], text, text) is 'Splits a segment between two of its points (z, y, x), as between the fragments there.';

create function fragment_of_point(volume_id integer, segment_id bigint, point integer[], argument text) returns bigint
language plpgsql stable set search_path = fgnet, pg_temp as $$
declare
  hits bigint[];
begin
  if cardinality($3) is distinct from 3 or array_position($3, null) is not null then
    raise exception '%: give a point as array[z, y, x]', $4 using errcode = '22023';
  end if;
  select array_agg(f.fragment_id order by f.fragment_id) into hits
  from segment s
  join fragment f on f.volume_id = s.volume_id and f.segment_id = s.segment_id
  where s.volume_id = $1 and s.live_id = $2 and f.state = 'final' and f.z = $3[1]
    and $3[2] >= f.min_y and $3[2] < f.max_y and $3[3] >= f.min_x and $3[3] < f.max_x;
  if hits is null then
    raise exception '%: segment % has no fragment at z %, y %, x %', $4, $2, $3[1], $3[2], $3[3] using errcode = '22023';
  elsif cardinality(hits) > 1 then
    raise exception '%: the boxes of fragments % hold z %, y %, x %: give the fragment instead', $4,
      array_to_string(hits, ', '), $3[1], $3[2], $3[3] using errcode = '22023';
  end if;
  return hits[1];
end $$;
comment on function fragment_of_point is 'The only fragment of the segment whose box holds the point; an error if there is none, or more than one.';

create function lock(volume text, segment bigint, reason text, actor text default null) returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  number constant integer := edit_volume($1);
  made bigint;
begin
  perform check_segment(number, $2, 'segment');
  made := begin_edit('lock', number, array[$2], $3, $4);
  perform add_correction(number, 'lock', $2, null, made, made);
  return made;
end $$;
comment on function lock is 'Locks a segment: it may grow into new sections, but joins no other segment, and nobody can edit it. Undo unlocks it. Returns the operation.';

create function annotate(volume text, segment bigint, note text, actor text default null) returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  number constant integer := edit_volume($1);
  made bigint;
begin
  perform check_segment(number, $2, 'segment', null);
  made := begin_edit('annotate', number, array[$2], $3, $4);
  perform add_correction(number, 'note', $2, null, made, made);
  return made;
end $$;
comment on function annotate is 'Writes a note about a segment, shown by the view annotations. Undo removes it. Returns the operation.';

create function resolve(conflict_id bigint, reason text, actor text default null) returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  met conflict;
  made bigint;
begin
  select f.* into met from conflict f where f.conflict_id = $1;
  if met.conflict_id is null then
    raise exception 'conflict_id: there is no conflict %', coalesce($1::text, 'null') using errcode = '22023';
  end if;
  perform check_access(met.volume_id);
  perform claim_volume(met.volume_id);
  select f.* into met from conflict f where f.conflict_id = $1;
  if met.resolved_operation_id is not null then
    raise exception 'conflict_id: conflict % was resolved by operation %', $1, met.resolved_operation_id
      using errcode = '55000';
  end if;
  made := begin_edit('resolve', met.volume_id, array_remove(array[met.fragment_a, met.fragment_b], null), $2, $3);
  update conflict f set resolved_operation_id = made where f.conflict_id = $1;
  return made;
end $$;
comment on function resolve is 'Closes a conflict that was looked at. Changes no segment. Returns the operation.';
