-- Corrections by people, and an operation log that is only ever appended to.

alter table operation
  drop constraint operation_kind_check,
  add constraint operation_kind_check check (kind in (
    'section_provisional', 'section_final', 'revision', 'declare_missing', 'finish', 'reopen',
    'merge', 'split', 'lock', 'annotate', 'resolve', 'undo', 'redo')),
  add column reason text,
  add column undoes_operation_id bigint references operation,
  add column database_user text,
  add constraint operation_undoes_check check ((kind in ('undo', 'redo')) = (undoes_operation_id is not null)),
  add constraint operation_reason_check check (
    kind not in ('merge', 'split', 'lock', 'annotate', 'resolve', 'undo', 'redo') or reason <> '');
alter table operation alter column database_user set default session_user;
create index operation_undone on operation (undoes_operation_id) where undoes_operation_id is not null;
comment on column operation.kind is 'section_provisional, section_final (sections added), revision (final sections replaced), declare_missing, finish or reopen (the volume); merge, split, lock, annotate, resolve, undo, redo (by people).';
comment on column operation.first_z is 'Lowest section it wrote, or that a correction names.';
comment on column operation.z is 'Highest section it wrote, or that a correction names.';
comment on column operation.actor is 'Who did it: the database user, or the person named by the caller.';
comment on column operation.reason is 'Why, in the words of the person; of annotate, the note. Null for the daemon.';
comment on column operation.undoes_operation_id is 'undo, redo: the merge, split, lock or annotate that is undone or done again.';
comment on column operation.database_user is 'Database user of the connection; null before this column was there.';

alter table lineage_event
  drop constraint lineage_event_event_check,
  add constraint lineage_event_event_check check (
    event in ('born', 'grown', 'merged', 'split', 'revised', 'settled', 'corrected')),
  drop constraint lineage_event_check,
  add constraint lineage_event_check check (
    (event in ('born', 'grown', 'corrected')) = (other_segment_id is null) or event = 'revised');
comment on column lineage_event.event is 'born: segment_id is new. grown: it reaches section z. merged: other_segment_id became part of segment_id. split: part of segment_id became (or went to) other_segment_id. revised: fragments of section z were replaced; segment_id continues other_segment_id, which may be itself; other_segment_id null: segment_id vanished. settled: the provisional segment_id turned out to be other_segment_id. corrected: a person''s operation made segment_id what it is; merged and split of the same operation say how.';
comment on column lineage.event is 'born, grown, merged, split, revised, settled or corrected; see lineage_event.event.';
comment on column region_edge.accepted is 'Whether the daemon found both ends to be of one neuron. What people decided stands above it: effective_edge.';
comment on column lineage_event.cause_fragment_a is 'merged: smaller end of the accepted edge that joined the two. Of a correction: smaller end of its strongest pair.';
comment on column lineage_event.cause_fragment_b is 'merged: larger end of that edge. Of a correction: larger end of its strongest pair.';
comment on column lineage_event.score is 'Score of that edge; null if a person joined fragments that do not touch.';

create table correction (
  correction_id bigint generated always as identity primary key,
  continues_id bigint references correction,
  first_id bigint not null generated always as (coalesce(continues_id, correction_id)) stored,
  volume_id integer not null references volume,
  decision text not null check (decision in ('join', 'separate', 'refuse', 'lock', 'note')),
  fragment_a bigint not null,
  fragment_b bigint,
  segment_a bigint not null,
  segment_b bigint,
  origin_operation_id bigint not null references operation,
  operation_id bigint not null references operation,
  until_operation_id bigint references operation,
  check (fragment_a < fragment_b),
  check ((fragment_b is null) = (decision in ('lock', 'note'))),
  check ((fragment_b is null) = (segment_b is null)),
  check (operation_id < until_operation_id)
);
create unique index correction_once on correction
  (volume_id, fragment_a, coalesce(fragment_b, 0), decision, origin_operation_id) where until_operation_id is null;
create index correction_fragment_b on correction (volume_id, fragment_b) where until_operation_id is null;
create index correction_segment_a on correction (volume_id, segment_a) where until_operation_id is null;
create index correction_segment_b on correction (volume_id, segment_b) where until_operation_id is null;
create index correction_origin on correction (origin_operation_id);
create index correction_since on correction (operation_id);
create index correction_until on correction (until_operation_id) where until_operation_id is not null;
create index correction_first on correction (first_id);
comment on table correction is 'What people decided about fragments, and what the daemon left out because of it. A row is in force while until_operation_id is null; rows are ended, never removed.';
comment on column correction.correction_id is 'Number of the row.';
comment on column correction.continues_id is 'First row of the same decision, if this one continues it: after a revision replaced a fragment, or after undo and redo.';
comment on column correction.first_id is 'First row of the decision: continues_id, or the row itself.';
comment on column correction.volume_id is 'Volume.';
comment on column correction.decision is 'join: both are of one segment, as if by an accepted edge. separate: they are never of one segment, whatever the edges say. refuse: the daemon accepted this edge, but it would break a separate or a lock, so it does not count. lock: the segment of fragment_a joins no other segment. note: a text about the segment of fragment_a.';
comment on column correction.fragment_a is 'The fragment with the smaller id, or the only one.';
comment on column correction.fragment_b is 'The other one; null for lock and note.';
comment on column correction.segment_a is 'Live segment of fragment_a; kept up to date while the row is in force.';
comment on column correction.segment_b is 'Live segment of fragment_b; kept up to date while the row is in force.';
comment on column correction.origin_operation_id is 'Operation of a person that it goes back to: the one that undo takes.';
comment on column correction.operation_id is 'Operation since which the row is in force.';
comment on column correction.until_operation_id is 'Operation that ended it; null while it is in force.';

create table conflict (
  conflict_id bigint generated always as identity primary key,
  volume_id integer not null references volume,
  operation_id bigint not null references operation,
  kind text not null check (kind in ('refused', 'lost', 'locked_split')),
  correction_id bigint not null references correction,
  fragment_a bigint not null,
  fragment_b bigint,
  score real,
  resolved_operation_id bigint references operation,
  check ((fragment_b is null) or fragment_a < fragment_b)
);
create index conflict_open on conflict (volume_id) where resolved_operation_id is null;
create index conflict_correction on conflict (correction_id);
comment on table conflict is 'Where what the daemon found and what a person decided contradict each other. The view conflicts says it in words.';
comment on column conflict.conflict_id is 'Number of the row.';
comment on column conflict.volume_id is 'Volume.';
comment on column conflict.operation_id is 'Operation that met it.';
comment on column conflict.kind is 'refused: an accepted edge was left out. lost: a revision replaced a fragment of the correction and no new one can stand for it, so the correction ended. locked_split: a revision took a locked segment apart.';
comment on column conflict.correction_id is 'The correction.';
comment on column conflict.fragment_a is 'refused: smaller end of the edge. lost: the fragment that was replaced. locked_split: a fragment of the part that was lost.';
comment on column conflict.fragment_b is 'refused: larger end of the edge.';
comment on column conflict.score is 'refused: score of the edge.';
comment on column conflict.resolved_operation_id is 'Operation that ended it: a resolve, or the one after which the edge did not have to be left out any more; null while open.';

create table segment_change (
  change_id bigint generated always as identity primary key,
  operation_id bigint not null,
  volume_id integer not null,
  segment_id bigint not null,
  state text not null,
  successor_id bigint,
  born_operation_id bigint not null,
  retired_operation_id bigint
);
create index segment_change_segment on segment_change (volume_id, segment_id, change_id);
comment on table segment_change is 'Every version of every row of segment, in order. The last one for a segment is its row.';
comment on column segment_change.change_id is 'Number; order of the changes.';
comment on column segment_change.operation_id is 'Operation that made it; for a segment that is older than this table, the last one before it was made.';
comment on column segment_change.volume_id is 'As in segment.';
comment on column segment_change.segment_id is 'As in segment.';
comment on column segment_change.state is 'As in segment.';
comment on column segment_change.successor_id is 'As in segment.';
comment on column segment_change.born_operation_id is 'As in segment.';
comment on column segment_change.retired_operation_id is 'As in segment.';

insert into segment_change
  (operation_id, volume_id, segment_id, state, successor_id, born_operation_id, retired_operation_id)
select (select max(o.operation_id) from operation o where o.volume_id = s.volume_id), s.volume_id, s.segment_id, s.state,
  s.successor_id, s.born_operation_id, s.retired_operation_id
from segment s order by s.volume_id, s.segment_id;

create function operation_is_current() returns trigger
language plpgsql set search_path = fgnet, pg_temp as $$
begin
  perform set_config('fgnet.operation', new.operation_id::text, true);
  return null;
end $$;
comment on function operation_is_current is 'Trigger: what changes next in this transaction belongs to the operation.';
create trigger operation_is_current after insert on operation
  for each row execute function operation_is_current();

create function log_segments() returns trigger
language plpgsql set search_path = fgnet, pg_temp as $$
declare
  current_operation bigint := nullif(current_setting('fgnet.operation', true), '');
begin
  if current_operation is null and exists (select from changed) then
    raise exception 'rows of segment change in operations only' using errcode = '55000',
      hint = 'Use merge, split, undo and redo.';
  end if;
  insert into segment_change
    (operation_id, volume_id, segment_id, state, successor_id, born_operation_id, retired_operation_id)
  select current_operation, c.volume_id, c.segment_id, c.state, c.successor_id, c.born_operation_id,
    c.retired_operation_id
  from changed c order by c.volume_id, c.segment_id;
  return null;
end $$;
comment on function log_segments is 'Trigger: writes new versions of rows of segment into segment_change.';
create trigger log_new_segments after insert on segment
  referencing new table as changed for each statement execute function log_segments();
create trigger log_changed_segments after update on segment
  referencing new table as changed for each statement execute function log_segments();

create function refuse_change() returns trigger
language plpgsql set search_path = fgnet, pg_temp as $$
begin
  raise exception 'rows of fgnet.% are never changed or removed', tg_table_name using errcode = '55000';
end $$;
comment on function refuse_change is 'Trigger: keeps a log append-only.';
create trigger append_only before update or delete or truncate on operation
  for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on lineage_event
  for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on segment_change
  for each statement execute function refuse_change();
create trigger append_only before delete or truncate on correction
  for each statement execute function refuse_change();
create trigger append_only before delete or truncate on conflict
  for each statement execute function refuse_change();
create trigger append_only before delete or truncate on segment
  for each statement execute function refuse_change();

create view effective_edge as
select e.volume_id, e.fragment_a, e.fragment_b, e.z, e.score, false as corrected, e.contact_area_px, e.mean_affinity
from region_edge e
where e.accepted and not exists (
  select from correction c where c.volume_id = e.volume_id and c.fragment_a = e.fragment_a
    and c.fragment_b = e.fragment_b and c.decision in ('separate', 'refuse') and c.until_operation_id is null)
union all
select j.volume_id, j.fragment_a, j.fragment_b, ((j.fragment_b >> 45) - 131072)::integer, 1::real, true, 0, 1::real
from correction j
where j.decision = 'join' and j.until_operation_id is null and not exists (
  select from correction c where c.volume_id = j.volume_id and c.fragment_a = j.fragment_a
    and c.fragment_b = j.fragment_b and c.decision in ('separate', 'refuse') and c.until_operation_id is null);
comment on view effective_edge is 'The edges that segments are the components of: accepted by the daemon or joined by a person, and not separated or refused.';

create view corrections as
select v.name as volume, c.decision, c.segment_a, c.segment_b, c.fragment_a, c.fragment_b, o.actor, o.reason, o.at,
  c.origin_operation_id as undo_with, c.operation_id, c.correction_id
from correction c
join volume v using (volume_id)
join operation o on o.operation_id = c.origin_operation_id
where c.until_operation_id is null;
comment on view corrections is 'The corrections in force, with who made them and why.';

create view annotations as
select v.name as volume, c.segment_a as segment_id, o.reason as note, o.actor, o.at, o.operation_id
from correction c
join volume v using (volume_id)
join operation o on o.operation_id = c.origin_operation_id
where c.until_operation_id is null and c.decision = 'note';
comment on view annotations is 'What people wrote about segments; a note follows its segment through merges and revisions.';

create view conflicts as
select v.name as volume, f.conflict_id, f.kind,
  case f.kind
    when 'refused' then format('edge %s - %s (score %s) was accepted but not taken: it would break the %s of operation %s',
      f.fragment_a, f.fragment_b, f.score, k.kind, k.operation_id)
    when 'lost' then format('the %s of operation %s ended: its fragment %s was replaced, and no new one can stand for it',
      k.kind, k.operation_id, f.fragment_a)
    else format('a revision took fragment %s away from the segment locked by operation %s', f.fragment_a, k.operation_id)
  end as description,
  f.fragment_a, f.fragment_b, f.score, c.decision, k.operation_id as correction_operation_id, k.actor, k.reason,
  f.operation_id, o.at
from conflict f
join volume v using (volume_id)
join correction c on c.correction_id = f.correction_id
join operation k on k.operation_id = c.origin_operation_id
join operation o on o.operation_id = f.operation_id
where f.resolved_operation_id is null;
comment on view conflicts is 'Open contradictions between the daemon and people, for people to look at.';

comment on column effective_edge.volume_id is 'Volume.';
comment on column effective_edge.fragment_a is 'The fragment with the smaller id.';
comment on column effective_edge.fragment_b is 'The other one.';
comment on column effective_edge.z is 'Section of fragment_b.';
comment on column effective_edge.score is 'Score of the edge, 0 to 1; 1 for what a person joined.';
comment on column effective_edge.corrected is 'Whether a person joined the two.';
comment on column effective_edge.contact_area_px is 'Pixel pairs in contact; 0 for what a person joined.';
comment on column effective_edge.mean_affinity is 'Mean affinity over the contact, 0 to 1; 1 for what a person joined.';

comment on column corrections.volume is 'Name of the volume.';
comment on column corrections.decision is 'See correction.decision.';
comment on column corrections.segment_a is 'Live segment of fragment_a.';
comment on column corrections.segment_b is 'Live segment of fragment_b.';
comment on column corrections.fragment_a is 'The fragment with the smaller id, or the only one.';
comment on column corrections.fragment_b is 'The other one.';
comment on column corrections.actor is 'Who decided.';
comment on column corrections.reason is 'Why.';
comment on column corrections.at is 'When.';
comment on column corrections.undo_with is 'Operation to give to undo.';
comment on column corrections.operation_id is 'Operation since which the row is in force.';
comment on column corrections.correction_id is 'Number of the row.';

comment on column annotations.volume is 'Name of the volume.';
comment on column annotations.segment_id is 'Live segment that the note is about.';
comment on column annotations.note is 'The text.';
comment on column annotations.actor is 'Who wrote it.';
comment on column annotations.at is 'When.';
comment on column annotations.operation_id is 'Operation to give to undo.';

comment on column conflicts.volume is 'Name of the volume.';
comment on column conflicts.conflict_id is 'Number to give to resolve.';
comment on column conflicts.kind is 'See conflict.kind.';
comment on column conflicts.description is 'What happened, in a sentence.';
comment on column conflicts.fragment_a is 'See conflict.fragment_a.';
comment on column conflicts.fragment_b is 'See conflict.fragment_b.';
comment on column conflicts.score is 'Score of the refused edge.';
comment on column conflicts.decision is 'What the correction says; see correction.decision.';
comment on column conflicts.correction_operation_id is 'Operation that made the correction.';
comment on column conflicts.actor is 'Who made it.';
comment on column conflicts.reason is 'Why.';
comment on column conflicts.operation_id is 'Operation of the daemon that met it.';
comment on column conflicts.at is 'When that was.';

-- A view shows what its reader may see in the tables, not what its owner may.
alter view effective_edge set (security_invoker = true);
alter view corrections set (security_invoker = true);
alter view annotations set (security_invoker = true);
alter view conflicts set (security_invoker = true);
