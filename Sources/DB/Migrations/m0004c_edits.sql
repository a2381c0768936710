-- The steps of an edit by a person. Each leaves the tables as the commits of the daemon would: segments are the
-- components over effective_edge, named by their smallest fragment.

create function claim_volume(volume_id integer) returns void
language plpgsql set search_path = fgnet, pg_temp as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'segments are changed in transactions of level read committed only, this one is %',
      current_setting('transaction_isolation') using errcode = '25001';
  end if;
  perform pg_advisory_xact_lock(1718513781, $1);
end $$;
comment on function claim_volume is 'Waits until no other transaction changes segments of the volume, and keeps others waiting until this one ends.';

create function check_access(volume_id integer) returns void
language plpgsql stable set search_path = fgnet, pg_temp as $$
begin
  -- The edits run with the rights of their owner, so the access lists are asked about whoever logged in.
  if to_regclass('fgnet.volume_access') is null then return; end if;
  if exists (select from volume_access a where a.volume_id = $1) and not exists (
    select from volume_access a join pg_roles r on r.rolname = a.role_name
    where a.volume_id = $1 and pg_has_role(session_user, r.oid, 'member')
  ) and not exists (
    select from pg_roles r where r.rolname = 'fgnet_administrator' and pg_has_role(session_user, r.oid, 'member')
  ) then
    raise exception 'volume: % is not on the access list of this volume', session_user using errcode = '42501';
  end if;
end $$;
comment on function check_access is 'An error if the volume has an access list (volume_access) and the user who logged in is not on it.';

create function edit_volume(volume text) returns integer
language plpgsql set search_path = fgnet, pg_temp as $$
declare
  found_id integer := (select v.volume_id from volume v where v.name = $1);
begin
  if found_id is null then
    raise exception 'volume: there is no volume %', coalesce(quote_literal($1), 'null') using errcode = '22023';
  end if;
  perform check_access(found_id);
  perform claim_volume(found_id);
  return found_id;
end $$;
comment on function edit_volume is 'Number of the volume with a name, claimed for an edit; an error if there is none.';

create function live_segment(volume_id integer, fragment_id bigint) returns bigint
language sql stable set search_path = fgnet, pg_temp as $$
  select s.live_id from fragment f
  join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
  where f.volume_id = $1 and f.fragment_id = $2 and f.state = 'final'
$$;
comment on function live_segment is 'Segment of a final fragment now; null if there is no such fragment.';

create function check_segment(volume_id integer, segment_id bigint, argument text, but_lock bigint default 0) returns void
language plpgsql stable set search_path = fgnet, pg_temp as $$
declare
  found_row segment;
  holder record;
begin
  select s.* into found_row from segment s where s.volume_id = $1 and s.segment_id = $2;
  if found_row.segment_id is null then
    raise exception '%: there is no segment % in this volume', $3, coalesce($2::text, 'null') using errcode = '22023';
  elsif found_row.state = 'retired' and found_row.successor_id is not null then
    raise exception '%: segment % is retired, it is part of segment % now', $3, $2, found_row.successor_id
      using errcode = '55000', hint = format('Use %s.', found_row.successor_id);
  elsif found_row.state = 'retired' then
    raise exception '%: segment % is retired, nothing is left of it', $3, $2 using errcode = '55000';
  elsif found_row.state = 'provisional' then
    raise exception '%: segment % is provisional, wait until its sections are final', $3, $2 using errcode = '55000';
  end if;
  select o.operation_id, o.actor into holder from correction c
  join operation o on o.operation_id = c.origin_operation_id
  where c.volume_id = $1 and c.segment_a = $2 and c.decision = 'lock' and c.until_operation_id is null
    and c.origin_operation_id <> $4
  order by 1 limit 1;
  if found then
    raise exception '%: segment % is locked by % (operation %): undo that operation first', $3, $2, holder.actor,
      holder.operation_id using errcode = '55006';
  end if;
end $$;
comment on function check_segment is 'An error that names the argument if the segment is not live, or is locked by another operation than but_lock; with but_lock null, locks are not looked at.';

create function begin_edit(
  kind text, volume_id integer, ends bigint[], reason text, actor text, undoes bigint default null
) returns bigint
language plpgsql set search_path = fgnet, pg_temp as $$
declare
  made bigint;
begin
  if coalesce(btrim($4), '') = '' then
    raise exception '%: say why', case $1 when 'annotate' then 'note' else 'reason' end using errcode = '22023';
  end if;
  insert into operation (volume_id, kind, first_z, z, actor, reason, undoes_operation_id)
  select $2, $1, min((e.id >> 45) - 131072), max((e.id >> 45) - 131072),
    coalesce(nullif(btrim($5), ''), session_user::text), $4, $6
  from unnest($3) e (id)
  returning operation_id into made;
  return made;
end $$;
comment on function begin_edit is 'Records the operation of a person.';

create function add_correction(
  volume_id integer, decision text, fragment_a bigint, fragment_b bigint, origin_operation_id bigint,
  operation_id bigint, continues_id bigint default null
) returns void
language sql set search_path = fgnet, pg_temp as $$
  insert into correction (continues_id, volume_id, decision, fragment_a, fragment_b, segment_a, segment_b,
    origin_operation_id, operation_id)
  values ($7, $1, $2, $3, $4, live_segment($1, $3), live_segment($1, $4), $5, $6)
  on conflict (volume_id, fragment_a, coalesce(fragment_b, 0), decision, origin_operation_id)
    where until_operation_id is null do nothing
$$;
comment on function add_correction is 'Puts a correction in force.';

create function place_corrections(volume_id integer, segments bigint[], operation_id bigint) returns void
language sql set search_path = fgnet, pg_temp as $$
  update correction c set segment_a = coalesce(live_segment($1, c.fragment_a), c.segment_a)
  where c.volume_id = $1 and c.until_operation_id is null and (c.segment_a = any ($2) or c.operation_id = $3)
    and c.segment_a <> live_segment($1, c.fragment_a);
  update correction c set segment_b = coalesce(live_segment($1, c.fragment_b), c.segment_b)
  where c.volume_id = $1 and c.until_operation_id is null and (c.segment_b = any ($2) or c.operation_id = $3)
    and c.segment_b <> live_segment($1, c.fragment_b);
$$;
comment on function place_corrections is 'Brings segment_a and segment_b up to date for corrections on segments that changed, and for those of the operation.';

create function close_conflicts(volume_id integer, operation_id bigint) returns void
language sql set search_path = fgnet, pg_temp as $$
  update conflict f set resolved_operation_id = $2
  where f.volume_id = $1 and f.kind = 'refused' and f.resolved_operation_id is null and not exists (
    select from correction c where c.volume_id = $1 and c.fragment_a = f.fragment_a and c.fragment_b = f.fragment_b
      and c.decision = 'refuse' and c.until_operation_id is null)
$$;
comment on function close_conflicts is 'Closes the conflicts over edges that are not refused any more.';

create function join_segments(
  volume_id integer, a bigint, b bigint, operation_id bigint, cause_a bigint, cause_b bigint, score real
) returns void
language plpgsql set search_path = fgnet, pg_temp as $$
#variable_conflict use_column
declare
  kept constant bigint := least(a, b);
  gone constant bigint := greatest(a, b);
  z constant integer := (cause_b >> 45) - 131072;
begin
  update segment s set state = 'retired', successor_id = kept, retired_operation_id = $4
  where s.volume_id = $1 and s.segment_id = gone;
  update segment s set successor_id = kept where s.volume_id = $1 and s.successor_id = gone;
  perform place_corrections($1, array[gone], $4);
  insert into lineage_event
    (operation_id, volume_id, event, segment_id, other_segment_id, z, cause_fragment_a, cause_fragment_b, score)
  values ($4, $1, 'merged', kept, gone, z, $5, $6, $7), ($4, $1, 'corrected', kept, null, z, $5, $6, $7);
end $$;
comment on function join_segments is 'Two live segments become one: the younger is retired into the older. Their fragments'' rows stay as they are.';

create function rebuild_segments(
  volume_id integer, segments bigint[], operation_id bigint, cause_a bigint, cause_b bigint, score real
) returns void
language plpgsql set search_path = fgnet, pg_temp as $$
#variable_conflict use_column
declare
  z constant integer := (cause_b >> 45) - 131072;
  graph record;
  news bigint[];
  made bigint[];
begin
  graph := region_graph($1, $2);
  select array_agg(graph.nodes[c.root] order by c.place) into news
  from unnest(components(cardinality(graph.nodes), graph.tails, graph.heads)) with ordinality c (root, place);
  select array_agg(distinct n.id order by n.id) into made from unnest(news) n (id);

  insert into lineage_event
    (operation_id, volume_id, event, segment_id, other_segment_id, z, cause_fragment_a, cause_fragment_b, score)
  with pair as (
    select distinct p.former, p.now from unnest(graph.owners, news) p (former, now)
  ), heir as (
    select p.former, p.now from unnest(graph.nodes, graph.owners, news) p (node, former, now) where p.node = p.former
  ), change as (
    select 'split' as event, p.former as segment, p.now as other, p.now as place, 1 as step
    from pair p join heir h using (former) where p.now <> h.now
    union all
    select 'merged', h.now, h.former, h.now, 2 from heir h where h.now <> h.former
    union all
    select 'corrected', m.id, null, m.id, 3 from unnest(made) m (id)
  )
  select $3, $1, e.event, e.segment, e.other, z, $4, $5, $6 from change e order by e.place, e.step, e.segment, e.other;

  insert into segment (volume_id, segment_id, state, born_operation_id)
  select $1, m.id, 'live', $3 from unnest(made) m (id) where m.id <> all ($2)
  on conflict (volume_id, segment_id) do update set state = 'live', successor_id = null, retired_operation_id = null,
    born_operation_id = case segment.state when 'provisional' then excluded.born_operation_id
      else segment.born_operation_id end;

  with change as (
    select old.*, c.now from unnest(graph.nodes, news) c (id, now)
    cross join lateral (
      select f.* from fragment f where f.volume_id = $1 and f.fragment_id = c.id offset 0
    ) old
    where old.segment_id <> c.now
  ), kept as (
    insert into fragment_history (volume_id, fragment_id, z, label, area_px, min_y, min_x, max_y, max_x, centroid_y,
      centroid_x, segment_id, operation_id, until_operation_id, reason)
    select c.volume_id, c.fragment_id, c.z, c.label, c.area_px, c.min_y, c.min_x, c.max_y, c.max_x, c.centroid_y,
      c.centroid_x, c.segment_id, c.operation_id, $3, 'reassigned'
    from change c
  )
  update fragment f set segment_id = c.now, operation_id = $3
  from change c where f.volume_id = $1 and f.fragment_id = c.fragment_id;

  -- Segments retired earlier follow their own first fragment, or else the segment that they had become part of.
  with place as materialized (
    select p.node, p.now from unnest(graph.nodes, news) p (node, now)
  ), moved as (
    select s.segment_id, coalesce(own.now, heir.now) as now from segment s
    join place heir on heir.node = s.successor_id
    left join place own on own.node = s.segment_id
    where s.volume_id = $1 and s.successor_id = any ($2)
  )
  update segment s set successor_id = m.now
  from moved m where s.volume_id = $1 and s.segment_id = m.segment_id and s.successor_id <> m.now;

  update segment s set state = 'retired', successor_id = p.now, retired_operation_id = $3
  from unnest(graph.nodes, news) p (node, now)
  where p.node = any ($2) and p.now <> p.node and s.volume_id = $1 and s.segment_id = p.node;

  perform place_corrections($1, $2, $3);
end $$;
comment on function rebuild_segments is 'Makes segments, of which the effective edges changed, the components over them again, with lineage and history.';

create function check_separations(volume_id integer, operation_id bigint, argument text) returns void
language plpgsql stable set search_path = fgnet, pg_temp as $$
declare
  broken correction;
begin
  select c.* into broken from correction c
  where c.volume_id = $1 and c.until_operation_id is null and c.decision = 'separate' and c.segment_a = c.segment_b
    and c.segment_a in (select l.segment_id from lineage_event l where l.operation_id = $2)
  order by c.correction_id limit 1;
  if broken.correction_id is not null then
    raise exception '%: fragments % and %, which operation % keeps apart, would be of one segment', $3, broken.fragment_a,
      broken.fragment_b, broken.origin_operation_id using errcode = '55000',
      hint = format('Undo operation %s as well, or split the segment instead.', broken.origin_operation_id);
  end if;
end $$;
comment on function check_separations is 'An error if the operation made one segment of fragments that a correction keeps apart.';
