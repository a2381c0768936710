-- Undo and redo. An edit puts rows of correction in force and ends others; its inverse does the opposite. Edits need not
-- be undone in their order.

create function release_refused(volume_id integer, origin_operation_id bigint, operation_id bigint) returns void
language plpgsql set search_path = fgnet, pg_temp as $$
#variable_conflict use_column
declare
  refused record;
  a bigint;
  b bigint;
  other correction;
begin
  for refused in
    select c.correction_id, c.fragment_a, c.fragment_b, e.score from correction c
    left join region_edge e on e.volume_id = c.volume_id and e.fragment_a = c.fragment_a and e.fragment_b = c.fragment_b
    where c.origin_operation_id = $2 and c.decision = 'refuse' and c.until_operation_id is null
    order by e.score desc nulls first, c.fragment_a, c.fragment_b
  loop
    update correction c set until_operation_id = $3 where c.correction_id = refused.correction_id;
    a := live_segment($1, refused.fragment_a);
    b := live_segment($1, refused.fragment_b);
    continue when a = b;
    select c.* into other from correction c
    where c.volume_id = $1 and c.until_operation_id is null and ((c.decision = 'lock' and c.segment_a in (a, b))
      or (c.decision = 'separate' and c.segment_a in (a, b) and c.segment_b in (a, b)))
    order by c.correction_id limit 1;
    if found then
      perform add_correction($1, 'refuse', refused.fragment_a, refused.fragment_b, other.origin_operation_id, $3);
      insert into conflict (volume_id, operation_id, kind, correction_id, fragment_a, fragment_b, score)
      values ($1, $3, 'refused', other.correction_id, refused.fragment_a, refused.fragment_b, refused.score);
    else
      perform join_segments($1, a, b, $3, refused.fragment_a, refused.fragment_b, refused.score);
    end if;
  end loop;
end $$;
comment on function release_refused is 'Takes edges that were refused because of an operation, unless another correction stands against them.';

create function invert_edit(
  kind text, edit operation, last bigint, reason text, actor text
) returns bigint
language plpgsql set search_path = fgnet, pg_temp as $$
#variable_conflict use_column
declare
  ending bigint[];
  starting bigint[];
  lost bigint[];
  ends bigint[];
  segments bigint[];
  made bigint;
  cause record;
begin
  ending := array(
    select c.correction_id from correction c
    where c.until_operation_id is null and c.decision <> 'refuse' and c.first_id in (
      select s.first_id from correction s where s.operation_id = $3) order by 1);
  starting := array(
    select c.correction_id from correction c
    where c.until_operation_id = $3 and not exists (
      select from correction s where s.first_id = c.first_id and s.operation_id = $3) order by 1);
  lost := array(
    select c.correction_id from correction c
    where c.correction_id = any (starting) and (live_segment(c.volume_id, c.fragment_a) is null
      or (c.fragment_b is not null and live_segment(c.volume_id, c.fragment_b) is null)) order by 1);
  if cardinality(ending) = 0 and starting <@ lost then
    raise exception 'operation: nothing of operation % is left to %', edit.operation_id, $1 using errcode = '55000';
  end if;
  select array_agg(e.id order by e.id) into ends from (
    select c.fragment_a as id from correction c where c.correction_id = any (ending || starting)
    union select c.fragment_b from correction c where c.correction_id = any (ending || starting)
  ) e where e.id is not null;
  segments := array(
    select distinct live_segment(c.volume_id, e.id) from correction c
    cross join lateral (values (c.fragment_a), (c.fragment_b)) e (id)
    where c.correction_id = any (ending || starting) and c.decision in ('join', 'separate', 'refuse')
      and not c.correction_id = any (lost) order by 1);
  segments := array_remove(segments, null);
  perform check_segment(edit.volume_id, s.id, 'operation', edit.operation_id) from unnest(segments) s (id);

  made := begin_edit($1, edit.volume_id, ends, $4, $5, edit.operation_id);
  update correction c set until_operation_id = made where c.correction_id = any (ending);
  perform add_correction(c.volume_id, c.decision, c.fragment_a, c.fragment_b, c.origin_operation_id, made, c.first_id)
  from correction c where c.correction_id = any (starting) and not c.correction_id = any (lost);
  insert into conflict (volume_id, operation_id, kind, correction_id, fragment_a)
  select c.volume_id, made, 'lost', c.correction_id,
    case when live_segment(c.volume_id, c.fragment_a) is null then c.fragment_a else c.fragment_b end
  from correction c where c.correction_id = any (lost) and c.decision <> 'refuse' order by c.correction_id;
  if cardinality(segments) > 0 then
    select c.fragment_a, c.fragment_b, e.score into cause from correction c
    left join region_edge e on e.volume_id = c.volume_id and e.fragment_a = c.fragment_a and e.fragment_b = c.fragment_b
    where c.correction_id = any (ending || starting) and c.fragment_b is not null
    order by e.score desc nulls last, c.fragment_a, c.fragment_b limit 1;
    perform rebuild_segments(edit.volume_id, segments, made, cause.fragment_a, cause.fragment_b, cause.score);
  end if;
  -- What was refused only because of it counts again.
  if $1 = 'undo' then
    perform release_refused(edit.volume_id, edit.operation_id, made);
  end if;
  perform check_separations(edit.volume_id, made, 'operation');
  perform close_conflicts(edit.volume_id, made);
  return made;
end $$;
comment on function invert_edit is 'Does the opposite of operation last, which is edit itself, or its last undo or redo.';

create function edit_to_invert(operation bigint, inverse text, out edit operation, out last bigint)
language plpgsql set search_path = fgnet, pg_temp as $$
declare
  last_kind text;
begin
  select o.* into edit from operation o where o.operation_id = $1;
  if edit.operation_id is null then
    raise exception 'operation: there is no operation %', coalesce($1::text, 'null') using errcode = '22023';
  elsif edit.kind in ('undo', 'redo') then
    raise exception 'operation: % is the % of operation %: name that one', $1, edit.kind, edit.undoes_operation_id
      using errcode = '22023', hint = format('Use %s.', edit.undoes_operation_id);
  elsif edit.kind not in ('merge', 'split', 'lock', 'annotate') then
    raise exception 'operation: % is a %; only merge, split, lock and annotate can be undone', $1, edit.kind
      using errcode = '22023';
  end if;
  perform check_access(edit.volume_id);
  perform claim_volume(edit.volume_id);
  select o.operation_id, o.kind into last, last_kind from operation o
  where $1 in (o.operation_id, o.undoes_operation_id) order by o.operation_id desc limit 1;
  if $2 = 'undo' and last_kind = 'undo' then
    raise exception 'operation: % is undone already (operation %)', $1, last using errcode = '55000';
  elsif $2 = 'redo' and last_kind <> 'undo' then
    raise exception 'operation: % is not undone', $1 using errcode = '55000';
  end if;
end $$;
comment on function edit_to_invert is 'An edit by its number, its volume claimed, and the operation that did, undid or redid it last.';

create function undo(operation bigint, reason text, actor text default null) returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  target record;
begin
  target := edit_to_invert($1, 'undo');
  return invert_edit('undo', target.edit, target.last, $2, $3);
end $$;
comment on function undo is 'Takes a merge, split, lock or annotate back, whatever was done since. Returns the operation.';

create function redo(operation bigint, reason text, actor text default null) returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  target record;
begin
  target := edit_to_invert($1, 'redo');
  return invert_edit('redo', target.edit, target.last, $2, $3);
end $$;
comment on function redo is 'Does a merge, split, lock or annotate again that was undone. Returns the operation.';

-- Only these are for everybody who may edit; their steps run with the rights of their owner.
do $$
declare
  name regprocedure;
begin
  for name in
    select p.oid from pg_proc p where p.pronamespace = 'fgnet'::regnamespace and p.proname in (
      'merge', 'split', 'lock', 'annotate', 'resolve', 'undo', 'redo', 'check_access', 'claim_volume', 'edit_volume', 'begin_edit',
      'add_correction', 'place_corrections', 'close_conflicts', 'join_segments', 'rebuild_segments', 'split_edges',
      'release_refused', 'invert_edit', 'edit_to_invert')
  loop
    execute format('revoke execute on function %s from public', name);
  end loop;
end $$;
