-- Exact geometry from the label tiles. A tile is decompressed once for each call: `runs || ''` makes a plain copy of it.

create function uint24(bytes bytea, place integer) returns integer language sql immutable parallel safe
return (get_byte(bytes, place) << 16) | (get_byte(bytes, place + 1) << 8) | get_byte(bytes, place + 2);
comment on function uint24 is 'The number that three bytes say, the first one highest.';

create function label_in_tile(runs bytea, height_px integer, y integer, x integer) returns integer
language plpgsql immutable strict parallel safe set search_path to fgnet, pg_temp as $$
declare
  plain bytea := runs || ''::bytea;
  total integer := (octet_length(plain) - 3 * height_px) / 4;
  ends integer := 3 * total;
  counts integer := 4 * total;
  low integer := case when y = 0 then 0 else uint24(plain, counts + 3 * y - 3) end;
  high integer := uint24(plain, counts + 3 * y) - 1;
  middle integer;
begin
  while low < high loop
    middle := (low + high) / 2;
    if get_byte(plain, ends + middle) < x then low := middle + 1; else high := middle; end if;
  end loop;
  return uint24(plain, 3 * low);
end $$;
comment on function label_in_tile is 'Label of a pixel, given its row and column in the tile.';

-- A loop, as this is ten times faster than one statement over generate_series.
create function runs_in_tile(runs bytea, height_px integer, from_y integer, to_y integer)
returns table (y integer, first_x integer, end_x integer, label integer)
language plpgsql immutable strict parallel safe rows 2000 set search_path to fgnet, pg_temp as $$
declare
  plain bytea := runs || ''::bytea;
  total integer := (octet_length(plain) - 3 * height_px) / 4;
  ends integer := 3 * total;
  counts integer := 4 * total;
  run integer := case when from_y <= 0 then 0 else uint24(plain, counts + 3 * from_y - 3) end;
  behind integer;
begin
  for row in greatest(from_y, 0)..least(to_y, height_px) - 1 loop
    behind := uint24(plain, counts + 3 * row);
    y := row;
    end_x := 0;
    while run < behind loop
      first_x := end_x;
      end_x := get_byte(plain, ends + run) + 1;
      label := uint24(plain, 3 * run);
      return next;
      run := run + 1;
    end loop;
  end loop;
end $$;
comment on function runs_in_tile is 'Runs of equal labels in rows from_y to to_y - 1 of a tile: columns first_x to end_x - 1 of row y, in pixels of the tile.';

create function runs_of(volume_number integer, z integer, labels_operation_id bigint, labels integer[],
  min_y integer, min_x integer, max_y integer, max_x integer)
returns table (y integer, first_x integer, end_x integer, label integer)
language sql stable strict set search_path to fgnet, pg_temp as $$
  select t.min_y + r.y, greatest(t.min_x + r.first_x, $6), least(t.min_x + r.end_x, $8), r.label
  from label_tile t
  cross join lateral runs_in_tile(t.runs, t.height_px, $5 - t.min_y, $7 - t.min_y) r
  where t.volume_id = $1 and t.z = $2 and t.operation_id = $3
    and t.min_y > $5 - 256 and t.min_y < $7 and t.min_x > $6 - 256 and t.min_x < $8
    and r.label = any($4) and t.min_x + r.end_x > $6 and t.min_x + r.first_x < $8
$$;
comment on function runs_of is 'Pixels of some fragments of a section within a box (half open): columns first_x to end_x - 1 of row y.';

-- A ring is a cycle of vertical pixel edges: left ends of runs are walked up, right ends down. Between two rows, ends that
-- lie on each other go straight on; the others, from left to right (right ends before left ends, so that pixels which
-- touch at a corner stay apart), are joined two by two by a horizontal edge.
create function outline_of(volume_number integer, z integer, labels_operation_id bigint, labels integer[],
  min_y integer, min_x integer, max_y integer, max_x integer)
returns text
language plpgsql stable strict set search_path to fgnet, pg_temp as $$
declare
  xs integer[];
  ys integer[];
  links integer[];
  ends integer;
  ring_of integer[];
  rings text[] := '{}';
  is_hole boolean[] := '{}';
  leftmost integer[] := '{}';
  shell integer[];
  ring integer := 0;
  edge integer;
  start integer;
  following integer;
  points text;
  doubled bigint;
  parent integer;
begin
  -- Ends of maximal runs, numbered by row and column: odd numbers are left ends, even ones right ends.
  with piece as (
    select r.y, r.first_x, r.end_x from runs_of($1, $2, $3, $4, $5, $6, $7, $8) r
  ), mark as (
    select p.y, p.first_x, p.end_x,
      case when p.first_x = lag(p.end_x) over (partition by p.y order by p.first_x) then 0 else 1 end as begins
    from piece p
  ), grouped as (
    select m.y, m.first_x, m.end_x, sum(m.begins) over (order by m.y, m.first_x) as run from mark m
  ), run as (
    select g.run::integer as run, g.y, min(g.first_x) as first_x, max(g.end_x) as end_x from grouped g group by g.run, g.y
  ), ending as (
    select 2 * r.run - 1 as number, r.y, r.first_x as x, true as is_left from run r
    union all
    select 2 * r.run, r.y, r.end_x, false from run r
  ), met as (
    -- On each line between two rows, the ends of the row above it and of the row below.
    select e.number, e.y + 1 as line, e.x, e.is_left, true as is_above from ending e
    union all
    select e.number, e.y, e.x, e.is_left, false from ending e
  ), paired as (
    select m.*, count(*) over (partition by m.line, m.x, m.is_left) as here from met m
  ), straight as (
    select p.line, p.x, p.is_left, max(p.number) filter (where p.is_above) as above,
      max(p.number) filter (where not p.is_above) as below
    from paired p where p.here = 2 group by p.line, p.x, p.is_left
  ), turning as (
    select p.*, (row_number() over (partition by p.line order by p.x, p.is_left) + 1) / 2 as pair
    from paired p where p.here = 1
  ), link as (
    select case when s.is_left then s.below else s.above end as arriving,
      case when s.is_left then s.above else s.below end as departing
    from straight s
    union all
    -- A left end of the row above departs upwards, one of the row below arrives from below; right ends the other way.
    select max(t.number) filter (where t.is_left <> t.is_above), max(t.number) filter (where t.is_left = t.is_above)
    from turning t group by t.line, t.pair
  )
  select array_agg(e.x order by e.number), array_agg(e.y order by e.number), array_agg(l.departing order by e.number)
  into xs, ys, links
  from ending e join link l on l.arriving = e.number;
  ends := coalesce(array_length(xs, 1), 0);
  if ends = 0 then return null; end if;

  ring_of := array_fill(0, array[ends]);
  for start in 1..ends loop
    continue when ring_of[start] > 0;
    ring := ring + 1;
    edge := start;
    points := '';
    doubled := 0;
    leftmost[ring] := start;
    loop
      ring_of[edge] := ring;
      following := links[edge];
      if xs[edge] < xs[leftmost[ring]] then leftmost[ring] := edge; end if;
      -- A vertical edge at column x adds x to the area on its left: down for right ends, up for left ends.
      doubled := doubled + case when edge % 2 = 0 then xs[edge] else -xs[edge] end;
      if xs[following] <> xs[edge] then
        -- The end of this edge, and the beginning of the next, on the line between them.
        points := points || case when points = '' then '' else ', ' end
          || xs[edge] || ' ' || ys[edge] + case when edge % 2 = 0 then 1 else 0 end || ', '
          || xs[following] || ' ' || ys[following] + case when following % 2 = 0 then 0 else 1 end;
      end if;
      edge := following;
      exit when edge = start;
    end loop;
    rings[ring] := '(' || points || ', ' || split_part(points, ', ', 1) || ')';
    is_hole[ring] := doubled < 0;
  end loop;

  -- A hole lies to the right of the run whose right end is its leftmost edge; that run's left end is of the same piece.
  shell := array_fill(0, array[ring]);
  for start in 1..ring loop
    parent := start;
    while is_hole[parent] loop parent := ring_of[leftmost[parent] - 1]; end loop;
    shell[start] := parent;
  end loop;
  select 'MULTIPOLYGON (' || string_agg(p.polygon, ', ' order by p.shell) || ')' into points
  from (
    select s.shell, '(' || string_agg(rings[s.place], ', ' order by is_hole[s.place], s.place) || ')' as polygon
    from unnest(shell) with ordinality s (shell, place) group by s.shell
  ) p;
  return points;
end $$;
comment on function outline_of is 'Outline of some fragments of a section, as well-known text: corners of pixels as "x y", so pixel (y, x) is the square from (x, y) to (x + 1, y + 1). Pixels that touch at a corner only are separate polygons. Null if the label tiles are not there.';
