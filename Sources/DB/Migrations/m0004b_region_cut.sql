-- The region graph of segments, its components and its least cuts.

create function numbers_of(nodes bigint[], ids bigint[]) returns integer[]
language sql immutable set search_path = fgnet, pg_temp set enable_nestloop = off as $$
  select coalesce(array_agg(n.number::integer order by i.place), '{}')
  from unnest(ids) with ordinality i (id, place)
  left join unnest(nodes) with ordinality n (id, number) on n.id = i.id
$$;
comment on function numbers_of is 'Place of each id in the array of nodes; null for those that are not in it.';

create function region_nodes(volume_id integer, segment_id bigint) returns bigint[]
language sql stable set search_path = fgnet, pg_temp as $$
  select array_agg(f.fragment_id order by f.fragment_id) from segment s
  cross join lateral (
    select f.fragment_id from fragment f
    where f.volume_id = s.volume_id and f.segment_id = s.segment_id and f.state = 'final' offset 0
  ) f
  where s.volume_id = $1 and s.live_id = $2
$$;
comment on function region_nodes is 'Final fragments of a live segment, in ascending order.';

create function region_graph(
  volume integer, segments bigint[], out nodes bigint[], out owners bigint[], out tails integer[], out heads integer[],
  out capacities bigint[]
)
language plpgsql stable set search_path = fgnet, pg_temp as $$
declare
  a bigint[];
  b bigint[];
begin
  select array_agg(f.fragment_id order by f.fragment_id), array_agg(s.live_id order by f.fragment_id)
  into nodes, owners
  from segment s
  cross join lateral (
    select f.fragment_id from fragment f
    where f.volume_id = s.volume_id and f.segment_id = s.segment_id and f.state = 'final' offset 0
  ) f
  where s.volume_id = $1 and s.live_id = any($2);
  -- One look-up for each fragment, whatever the planner knows of the tables.
  select array_agg(e.fragment_a order by e.fragment_a, e.fragment_b, e.capacity),
    array_agg(e.fragment_b order by e.fragment_a, e.fragment_b, e.capacity),
    array_agg(e.capacity order by e.fragment_a, e.fragment_b, e.capacity)
  into a, b, capacities
  from unnest(nodes) n (id)
  cross join lateral (
    select e.fragment_a, e.fragment_b,
      case when e.corrected then 1000000000000 else 1 + round(1000 * e.mean_affinity * e.contact_area_px)::bigint end
        as capacity
    from effective_edge e where e.volume_id = $1 and e.fragment_a = n.id offset 0
  ) e;
  tails := numbers_of(nodes, a);
  heads := numbers_of(nodes, b);
end $$;
comment on function region_graph is 'Final fragments of live segments in ascending order, the segments they are of, and the effective edges that leave them: places of their ends in nodes, and capacities (1000 times the sum of affinities over the contact, at least 1; 10^12 for a join).';

create function components(node_count integer, tails integer[], heads integer[]) returns integer[]
language plpgsql immutable set search_path = fgnet, pg_temp as $$
declare
  parent integer[] := array(select generate_series(1, node_count));
  a integer;
  b integer;
begin
  for i in 1 .. coalesce(cardinality(tails), 0) loop
    a := tails[i];
    b := heads[i];
    continue when a is null or b is null;
    while parent[a] <> a loop
      parent[a] := parent[parent[a]];
      a := parent[a];
    end loop;
    while parent[b] <> b loop
      parent[b] := parent[parent[b]];
      b := parent[b];
    end loop;
    if a < b then parent[b] := a; else parent[a] := b; end if;
  end loop;
  -- A parent is never larger than its child, so one pass in ascending order is enough.
  for i in 1 .. node_count loop parent[i] := parent[parent[i]]; end loop;
  return parent;
end $$;
comment on function components is 'Connected components of nodes 1 to node_count: the smallest node of each node''s component.';

create function minimum_cut(
  node_count integer, tails integer[], heads integer[], capacities bigint[], source integer, sink integer
) returns boolean[]
language plpgsql immutable set search_path = fgnet, pg_temp as $$
declare
  edge_count integer := coalesce(cardinality(tails), 0);
  -- Arc 2i - 1 is edge i from tail to head, arc 2i the same one backwards; each node's arcs are a linked list.
  first_arc integer[] := array_fill(0, array[node_count]);
  next_arc integer[] := array_fill(0, array[2 * edge_count]);
  arc_head integer[] := array_fill(0, array[2 * edge_count]);
  rest bigint[] := array_fill(0::bigint, array[2 * edge_count]);
  seen_in integer[] := array_fill(0, array[node_count]);
  came_by integer[] := array_fill(0, array[node_count]);
  queue integer[] := array_fill(0, array[node_count]);
  round integer := 0;
  first_place integer;
  last_place integer;
  node integer;
  arc integer;
  other integer;
  flow bigint;
  least_rest bigint := 1;
  a integer;
  b integer;
begin
  for i in 1 .. edge_count loop
    a := tails[i];
    b := heads[i];
    continue when a is null or b is null or a = b;
    arc_head[2 * i - 1] := b;
    rest[2 * i - 1] := capacities[i];
    next_arc[2 * i - 1] := first_arc[a];
    first_arc[a] := 2 * i - 1;
    arc_head[2 * i] := a;
    rest[2 * i] := capacities[i];
    next_arc[2 * i] := first_arc[b];
    first_arc[b] := 2 * i;
  end loop;
  -- Shortest augmenting paths (Edmonds and Karp), the wide ones first (capacity scaling: paths through thin edges would be
  -- taken by the thousand), until the sink is out of reach.
  arc := first_arc[source];
  while arc > 0 loop
    while 4 * least_rest <= rest[arc] loop least_rest := 4 * least_rest; end loop;
    arc := next_arc[arc];
  end loop;
  loop
    round := round + 1;
    queue[1] := source;
    seen_in[source] := round;
    first_place := 1;
    last_place := 1;
    while first_place <= last_place and seen_in[sink] < round loop
      node := queue[first_place];
      first_place := first_place + 1;
      arc := first_arc[node];
      while arc > 0 loop
        other := arc_head[arc];
        if rest[arc] >= least_rest and seen_in[other] < round then
          seen_in[other] := round;
          came_by[other] := arc;
          last_place := last_place + 1;
          queue[last_place] := other;
        end if;
        arc := next_arc[arc];
      end loop;
    end loop;
    if seen_in[sink] < round then
      exit when least_rest = 1;
      least_rest := least_rest / 4;
      continue;
    end if;
    flow := null;
    node := sink;
    while node <> source loop
      arc := came_by[node];
      flow := least(flow, rest[arc]);
      node := arc_head[case when arc % 2 = 1 then arc + 1 else arc - 1 end];
    end loop;
    node := sink;
    while node <> source loop
      arc := came_by[node];
      other := case when arc % 2 = 1 then arc + 1 else arc - 1 end;
      rest[arc] := rest[arc] - flow;
      rest[other] := rest[other] + flow;
      node := arc_head[other];
    end loop;
  end loop;
  return array(select s.round_seen = round from unnest(seen_in) with ordinality s (round_seen, place) order by s.place);
end $$;
comment on function minimum_cut is 'The least cut of an undirected graph between two nodes (edges with equal ends add up): whether each node is on the source''s side. Of several least cuts, the one with the smallest source''s side. Exact.';
