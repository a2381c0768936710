-- Quality figures of sections as acquired.
alter table section
  add column dark_fraction double precision check (dark_fraction between 0 and 1),
  add column bright_fraction double precision check (bright_fraction between 0 and 1),
  add column sharpness double precision check (sharpness >= 0);
comment on column section.dark_fraction is 'Share of the pixels that have the smallest value there is, 0 to 1: the detector was driven too low.';
comment on column section.bright_fraction is 'Share of the pixels that have the largest value there is, 0 to 1: the detector was driven too high.';
comment on column section.sharpness is 'Root mean square difference of neighbouring pixels, divided by std_intensity. Falls when the focus is lost; compare sections of one volume.';
comment on column section.file is 'HDF5 file that belongs to the fragment rows, in the daemon''s folder sections/<volume>.';

-- Older rows are not looked at again; what the daemon wrote fulfils these.
alter table section
  add constraint section_mean_intensity_check check (mean_intensity between 0 and 1) not valid,
  add constraint section_std_intensity_check check (std_intensity between 0 and 1) not valid;
alter table fragment
  add constraint fragment_id_check check (
    fragment_id >> 45 = z + 131072 and fragment_id & 8388607 = label) not valid,
  add constraint fragment_box_check check (
    min_y >= 0 and min_x >= 0 and centroid_y >= min_y and centroid_y < max_y and centroid_x >= min_x
    and centroid_x < max_x) not valid;
alter table region_edge
  add constraint region_edge_affinity_check check (mean_affinity between 0 and 1) not valid,
  add constraint region_edge_score_check check (score between 0 and 1) not valid;

-- What an operation wrote of a section. With label_tile it says which fragment each pixel belongs to, now and then.
create table section_segmentation (
  volume_id integer not null references volume,
  z integer not null,
  operation_id bigint not null references operation,
  section_id bigint not null references section,
  run_id bigint references run,
  state text not null check (state in ('provisional', 'final')),
  file text not null,
  signature text not null,
  fragments integer not null check (fragments >= 0),
  fragment_base bigint check (fragment_base & 8388607 = 0),
  labels_operation_id bigint,
  contact_affinity_below double precision check (contact_affinity_below between 0 and 1),
  primary key (volume_id, z, operation_id),
  check ((fragment_base is null) = (fragments = 0)),
  check (labels_operation_id <= operation_id)
);
create index section_segmentation_unfilled on section_segmentation (volume_id, z)
  where labels_operation_id is null and fragments > 0;
comment on table section_segmentation is 'What an operation wrote of a section. The row with the largest operation is the one shown; final ones stay.';
comment on column section_segmentation.volume_id is 'Volume.';
comment on column section_segmentation.z is 'Section.';
comment on column section_segmentation.operation_id is 'Operation that wrote it.';
comment on column section_segmentation.section_id is 'Revision of the section that was segmented.';
comment on column section_segmentation.run_id is 'Run that wrote it.';
comment on column section_segmentation.state is 'provisional (removed when the section is shown anew) or final.';
comment on column section_segmentation.file is 'HDF5 file of the results; those of older revisions are removed from the folder.';
comment on column section_segmentation.signature is 'SHA-256 of everything the results were computed from, hexadecimal.';
comment on column section_segmentation.fragments is 'Number of fragments.';
comment on column section_segmentation.fragment_base is 'A fragment''s id is this plus its label; null without fragments.';
comment on column section_segmentation.labels_operation_id is 'Operation whose label tiles show these fragments: this one, or an earlier one that wrote the same. Null: the tiles are not in the database yet.';
comment on column section_segmentation.contact_affinity_below is 'Mean affinity over all contacts with the section below, 0 to 1. Low where sections do not fit each other: a shift, a fold, a loss. Null without contacts.';

create table label_tile (
  volume_id integer not null,
  z integer not null,
  operation_id bigint not null,
  min_y integer not null check (min_y >= 0 and min_y % 256 = 0),
  min_x integer not null check (min_x >= 0 and min_x % 256 = 0),
  height_px integer not null check (height_px between 1 and 256),
  runs bytea not null,
  primary key (volume_id, z, operation_id, min_y, min_x),
  foreign key (volume_id, z, operation_id) references section_segmentation on delete cascade
);
comment on table label_tile is 'Fragment of each pixel of a section, in tiles of 256 x 256 pixels, as runs of equal labels (docs/decisions/0008-label-tiles.md). Read by segment_at, segments_in and the outlines.';
comment on column label_tile.volume_id is 'Volume.';
comment on column label_tile.z is 'Section.';
comment on column label_tile.operation_id is 'Operation that wrote it; section_segmentation.labels_operation_id refers to it.';
comment on column label_tile.min_y is 'First row of the tile.';
comment on column label_tile.min_x is 'First column of the tile.';
comment on column label_tile.height_px is 'Rows of the tile: 256, or fewer at the section''s lower end.';
comment on column label_tile.runs is 'Numbers big-endian, runs in raster order: for each run its label (3 bytes; 0 for no fragment), then for each run its last column in the tile (1 byte), then for each row of the tile the number of runs up to its end (3 bytes).';

create table region_edge_history (
  volume_id integer not null,
  fragment_a bigint not null,
  fragment_b bigint not null,
  z integer not null,
  kind text not null check (kind in ('within', 'between')),
  contact_area_px integer not null,
  mean_affinity real not null,
  score real not null,
  accepted boolean not null,
  operation_id bigint not null,
  until_operation_id bigint not null,
  primary key (volume_id, fragment_a, fragment_b, operation_id),
  check (operation_id < until_operation_id)
);
create index region_edge_history_b on region_edge_history (volume_id, fragment_b);
comment on table region_edge_history is 'Rows that region_edge had before a revision replaced them.';
comment on column region_edge_history.volume_id is 'As in region_edge.';
comment on column region_edge_history.fragment_a is 'As in region_edge.';
comment on column region_edge_history.fragment_b is 'As in region_edge.';
comment on column region_edge_history.z is 'As in region_edge.';
comment on column region_edge_history.kind is 'As in region_edge.';
comment on column region_edge_history.contact_area_px is 'As in region_edge.';
comment on column region_edge_history.mean_affinity is 'As in region_edge.';
comment on column region_edge_history.score is 'As in region_edge.';
comment on column region_edge_history.accepted is 'As in region_edge.';
comment on column region_edge_history.operation_id is 'Operation since which the row said this.';
comment on column region_edge_history.until_operation_id is 'Operation that ended it.';
comment on table region_edge is 'Contacts of final fragments and the decision on each. Segments are the components over accepted edges. What a revision replaces goes to region_edge_history.';

create table alarm (
  alarm_id bigint generated always as identity primary key,
  source text not null,
  kind text not null check (kind ~ '^[a-z]+$'),
  text text not null,
  raised_at timestamptz not null default now(),
  ended_at timestamptz,
  check (ended_at >= raised_at)
);
create unique index alarm_open on alarm (source, kind) where ended_at is null;
comment on table alarm is 'What kept the daemon from working, and when. Listeners to fgnet_alarm are told.';
comment on column alarm.alarm_id is 'Number of the row.';
comment on column alarm.source is 'The daemon: its machine and state directory.';
comment on column alarm.kind is 'intake, database, disk or stage.';
comment on column alarm.text is 'What happened, in a sentence.';
comment on column alarm.raised_at is 'When it was raised.';
comment on column alarm.ended_at is 'When it was over; null while it stands.';

-- Look-ups of the past go by segment, in the order of the events; of people also without the volume.
drop index lineage_event_segment;
drop index lineage_event_other;
create index lineage_event_segment on lineage_event (segment_id, volume_id, lineage_id);
create index lineage_event_other on lineage_event (other_segment_id, volume_id, lineage_id)
  where other_segment_id is not null;
create index lineage_event_named on lineage_event (segment_id, volume_id, lineage_id) where event in ('born', 'revised');
create index fragment_history_segment on fragment_history (volume_id, segment_id);

-- Sections segmented before this step. Their label tiles come from the section files: the daemon adds them.
insert into section_segmentation (volume_id, z, operation_id, section_id, run_id, state, file, signature, fragments,
  fragment_base, contact_affinity_below)
select s.volume_id, s.z, coalesce(f.operation_id, o.operation_id), s.section_id, s.run_id, s.state, s.file, s.signature,
  coalesce(f.fragments, 0), f.fragment_base, e.affinity
from section s
left join (
  select f.volume_id, f.z, min(least(f.operation_id, h.operation_id)) as operation_id,
    count(distinct f.fragment_id)::integer as fragments, min(f.fragment_id - f.label) as fragment_base
  from fragment f
  left join fragment_history h on h.volume_id = f.volume_id and h.fragment_id = f.fragment_id
  group by f.volume_id, f.z
) f on f.volume_id = s.volume_id and f.z = s.z
left join lateral (
  select max(o.operation_id) as operation_id from operation o
  where o.volume_id = s.volume_id and s.z between o.first_z and o.z
    and o.kind in ('section_provisional', 'section_final', 'revision')
) o on true
left join (
  select volume_id, z, sum(mean_affinity::double precision * contact_area_px) / nullif(sum(contact_area_px), 0) as affinity
  from region_edge where kind = 'between' group by volume_id, z
) e on e.volume_id = s.volume_id and e.z = s.z
where s.state in ('provisional', 'final') and coalesce(f.operation_id, o.operation_id) is not null;

-- Who may read a volume. The rows are guarded once the roles are there (Sources/DB/Access).
create table volume_access (
  volume_id integer not null references volume on delete cascade,
  role_name name not null,
  granted_at timestamptz not null default now(),
  primary key (volume_id, role_name)
);
comment on table volume_access is 'Who may read a volume: members of the roles listed for it. A volume without a row is open to every reader. fgnet_administrator reads all.';
comment on column volume_access.volume_id is 'Volume.';
comment on column volume_access.role_name is 'A database role, of a person or of a group.';
comment on column volume_access.granted_at is 'When it was listed.';

create function closed_volumes() returns integer[]
language sql stable set search_path to fgnet, pg_temp as $$
  select coalesce(array_agg(c.volume_id), '{}') from (
    select a.volume_id from volume_access a
    left join pg_roles r on r.rolname = a.role_name
    group by a.volume_id having not coalesce(bool_or(pg_has_role(r.oid, 'member')), false)
  ) c
  where not exists (
    select from pg_roles r where r.rolname = 'fgnet_administrator' and pg_has_role(r.oid, 'member'))
$$;
comment on function closed_volumes is 'Numbers of the volumes that the current user may not read.';
