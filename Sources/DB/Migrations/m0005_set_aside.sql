alter table section
  drop constraint section_state_check,
  add constraint section_state_check
    check (state in ('received', 'provisional', 'final', 'missing', 'superseded', 'set_aside')),
  add column set_aside_reason text,
  add column set_aside_at timestamptz,
  add check (state <> 'set_aside' or (set_aside_reason is not null and set_aside_at is not null));
comment on column section.state is 'received, provisional (segments shown with incomplete context), final, missing (declared), superseded (by a later revision), set_aside (a stage failed on it).';
comment on column section.set_aside_reason is 'Why a stage could not do its work on the section, in a sentence; of the last time.';
comment on column section.set_aside_at is 'When it was set aside last; null if never.';

alter table operation
  drop constraint operation_kind_check,
  add constraint operation_kind_check check (kind in (
    'section_provisional', 'section_final', 'revision', 'declare_missing', 'finish', 'reopen', 'set_aside', 'retry',
    'merge', 'split', 'lock', 'annotate', 'resolve', 'undo', 'redo'));
comment on column operation.kind is 'section_provisional, section_final (sections added), revision (final sections replaced), declare_missing, finish or reopen (the volume), set_aside or retry (a section that a stage fails on); merge, split, lock, annotate, resolve, undo, redo (by people).';

create or replace view sections with (security_invoker = true) as
select v.name as volume, s.z, s.revision, s.state, s.received_at, s.segmented_at, f.fragments, s.height, s.width,
  s.bit_depth, s.mean_intensity, s.std_intensity, s.source_path, s.content_sha256, s.file, s.signature, s.run_id, s.note,
  s.section_id, s.plane, s.pixel_y_nm, s.pixel_x_nm, s.dark_fraction, s.bright_fraction, s.sharpness,
  (select g.contact_affinity_below from section_segmentation g where g.volume_id = s.volume_id and g.z = s.z
    order by g.operation_id desc limit 1) as contact_affinity_below,
  case when s.state = 'set_aside' then s.set_aside_reason end as set_aside_reason
from section s
join volume v using (volume_id)
cross join lateral (
  select count(*) as fragments from fragment where fragment.volume_id = s.volume_id and fragment.z = s.z
) f
where s.state <> 'superseded';
comment on column sections.set_aside_reason is 'Why a stage could not do its work on the section, where it is set aside.';

create view sections_set_aside with (security_invoker = true) as
select v.name as volume, s.z, s.set_aside_reason as reason, s.set_aside_at, s.source_path, r.run_id, r.fingerprint
from section s
join volume v using (volume_id)
left join run r using (run_id)
where s.state = 'set_aside';
comment on view sections_set_aside is 'Sections that a stage failed on, and the stages that did. `fgnetd retry` takes them up again, as does a change of their bytes or of the stages.';
comment on column sections_set_aside.volume is 'Name of the volume.';
comment on column sections_set_aside.z is 'Section.';
comment on column sections_set_aside.reason is 'Why, in a sentence that names the stage.';
comment on column sections_set_aside.set_aside_at is 'When.';
comment on column sections_set_aside.source_path is 'File its bytes came from.';
comment on column sections_set_aside.run_id is 'Run whose stages failed on it.';
comment on column sections_set_aside.fingerprint is 'Those stages.';
