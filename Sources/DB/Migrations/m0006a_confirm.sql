-- The answer that everything is right, and splits by points that are exact.

alter table operation
  drop constraint operation_kind_check,
  add constraint operation_kind_check check (kind in (
    'section_provisional', 'section_final', 'revision', 'declare_missing', 'finish', 'reopen', 'set_aside', 'retry',
    'merge', 'split', 'confirm', 'lock', 'annotate', 'resolve', 'undo', 'redo')),
  drop constraint operation_reason_check,
  add constraint operation_reason_check check (
    kind not in ('merge', 'split', 'confirm', 'lock', 'annotate', 'resolve', 'undo', 'redo') or reason <> '');
comment on column operation.kind is 'section_provisional, section_final (sections added), revision (final sections replaced), declare_missing, finish or reopen (the volume), set_aside or retry (a section that a stage fails on); merge, split, confirm, lock, annotate, resolve, undo, redo (by people).';
comment on column operation.undoes_operation_id is 'undo, redo: the merge, split, confirm, lock or annotate that is undone or done again.';
comment on column correction.decision is 'join (merge, confirm): both are of one segment, as if by an accepted edge. separate (split, confirm): they are never of one segment, whatever the edges say. refuse: the daemon accepted this edge, but it would break a separate or a lock, so it does not count. lock: the segment of fragment_a joins no other segment. note: a text about the segment of fragment_a.';

create function confirm(volume text, fragment_a bigint, fragment_b bigint, reason text, actor text default null)
returns bigint
language plpgsql security definer set search_path = fgnet, pg_temp as $$
declare
  number constant integer := edit_volume($1);
  segment_a constant bigint := live_segment(number, $2);
  segment_b constant bigint := live_segment(number, $3);
  made bigint;
begin
  if segment_a is null or segment_b is null then
    raise exception 'fragment_%: there is no final fragment % in this volume', case when segment_a is null then 'a' else 'b' end,
      coalesce(case when segment_a is null then $2 else $3 end::text, 'null') using errcode = '22023';
  elsif $2 = $3 then
    raise exception 'fragment_a, fragment_b: % is one fragment', $2 using errcode = '22023';
  end if;
  perform check_segment(number, segment_a, 'fragment_a');
  perform check_segment(number, segment_b, 'fragment_b');
  made := begin_edit('confirm', number, array[$2, $3], $4, $5);
  perform add_correction(number, case when segment_a = segment_b then 'join' else 'separate' end, least($2, $3),
    greatest($2, $3), made, made);
  return made;
end $$;
comment on function confirm is 'Says that the segmentation is right about two fragments: if they are of one segment, they stay joined, and if they are of two, these stay apart, whatever is found later. Changes no segment, and takes the two out of the review queue. Returns the operation.';

create or replace function edit_to_invert(operation bigint, inverse text, out edit operation, out last bigint)
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
  elsif edit.kind not in ('merge', 'split', 'confirm', 'lock', 'annotate') then
    raise exception 'operation: % is a %; only merge, split, confirm, lock and annotate can be undone', $1, edit.kind
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
comment on function undo is 'Takes a merge, split, confirm, lock or annotate back, whatever was done since. Returns the operation.';
comment on function redo is 'Does a merge, split, confirm, lock or annotate again that was undone. Returns the operation.';

create or replace function fragment_of_point(volume_id integer, segment_id bigint, point integer[], argument text)
returns bigint
language plpgsql stable set search_path = fgnet, pg_temp as $$
declare
  shown section_segmentation;
  found_label integer;
  fragment bigint;
  live bigint;
begin
  if cardinality($3) is distinct from 3 or array_position($3, null) is not null then
    raise exception '%: give a point as array[z, y, x]', $4 using errcode = '22023';
  end if;
  select * into shown from segmentation_as_of($1, $3[1]);
  if shown.fragment_base is null or shown.state <> 'final' then
    raise exception '%: section % has no final fragments', $4, $3[1] using errcode = '22023';
  elsif shown.labels_operation_id is null then
    raise exception '%: the label tiles of section % are not in the database', $4, $3[1] using errcode = '55000',
      hint = 'The daemon adds them when it has nothing else to do. Until then, give the fragments instead.';
  end if;
  select label_in_tile(t.runs, t.height_px, $3[2] - t.min_y, $3[3] - t.min_x) into found_label from label_tile t
  join volume v on v.volume_id = $1 and $3[2] >= 0 and $3[3] between 0 and v.width - 1
  where t.volume_id = $1 and t.z = $3[1] and t.operation_id = shown.labels_operation_id
    and t.min_y = $3[2] - $3[2] % 256 and t.min_x = $3[3] - $3[3] % 256 and $3[2] < t.min_y + t.height_px;
  if found_label is null then
    raise exception '%: z %, y %, x % is outside of the volume', $4, $3[1], $3[2], $3[3] using errcode = '22023';
  elsif found_label = 0 then
    raise exception '%: z %, y %, x % is on a border, where no fragment is', $4, $3[1], $3[2], $3[3]
      using errcode = '22023';
  end if;
  fragment := shown.fragment_base + found_label;
  live := live_segment($1, fragment);
  if live is distinct from $2 then
    raise exception '%: z %, y %, x % is of segment %, not of segment %', $4, $3[1], $3[2], $3[3],
      coalesce(live::text, 'none'), $2 using errcode = '22023';
  end if;
  return fragment;
end $$;
comment on function fragment_of_point is 'The segment''s fragment that has the voxel z, y, x, exactly; an error that names the argument if there is none.';

revoke execute on function confirm(text, bigint, bigint, text, text) from public;
