create schema if not exists fgnet;
comment on schema fgnet is 'Sections, fragments, segments and their lineage, written by fgnetd. The views are meant for people.';

set local search_path to fgnet;

create table volume (
  volume_id integer generated always as identity primary key,
  name text not null unique check (name <> ''),
  voxel_z_nm double precision not null check (voxel_z_nm > 0),
  voxel_y_nm double precision not null check (voxel_y_nm > 0),
  voxel_x_nm double precision not null check (voxel_x_nm > 0),
  height integer check (height > 0),
  width integer check (width > 0),
  last_z integer,
  created_at timestamptz not null default now(),
  check ((height is null) = (width is null))
);
comment on table volume is 'A stack of sections of one specimen.';
comment on column volume.volume_id is 'Number of the volume.';
comment on column volume.name is 'Name in the configuration.';
comment on column volume.voxel_z_nm is 'Section thickness, nanometres.';
comment on column volume.voxel_y_nm is 'Pixel height, nanometres.';
comment on column volume.voxel_x_nm is 'Pixel width, nanometres.';
comment on column volume.height is 'Rows of every section; null until the first one came.';
comment on column volume.width is 'Columns of every section; null until the first one came.';
comment on column volume.last_z is 'Last section, once the operator says that the volume is finished; null while it is open.';
comment on column volume.created_at is 'When the volume was first named.';

create table run (
  run_id bigint generated always as identity primary key,
  volume_id integer not null references volume,
  started_at timestamptz not null default now(),
  configuration text not null,
  fingerprint text not null,
  model_hash text,
  code_version text not null
);
comment on table run is 'One start of the daemon: everything its results depend on.';
comment on column run.run_id is 'Number of the run.';
comment on column run.volume_id is 'Volume it worked on.';
comment on column run.started_at is 'When it started.';
comment on column run.configuration is 'The effective configuration, as text.';
comment on column run.fingerprint is 'Fingerprint of the stages: equal fingerprints give equal results.';
comment on column run.model_hash is 'SHA-256 of the weights file, or null when no network ran.';
comment on column run.code_version is 'Version of the program.';

create table section (
  section_id bigint generated always as identity primary key,
  volume_id integer not null references volume,
  z integer not null check (z between -131072 and 131071),
  revision integer not null check (revision >= 1),
  state text not null check (state in ('received', 'provisional', 'final', 'missing', 'superseded')),
  content_sha256 text check (content_sha256 ~ '^[0-9a-f]{64}$'),
  source_path text,
  height integer check (height > 0),
  width integer check (width > 0),
  bit_depth integer check (bit_depth > 0),
  received_at timestamptz,
  segmented_at timestamptz,
  run_id bigint references run,
  file text,
  signature text,
  mean_intensity double precision,
  std_intensity double precision,
  note text,
  unique (volume_id, z, revision),
  check (state = 'missing' or (content_sha256 is not null and source_path is not null and received_at is not null)),
  check (state not in ('provisional', 'final') or (file is not null and signature is not null))
);
create unique index section_current on section (volume_id, z) where state <> 'superseded';
create index section_content on section (volume_id, content_sha256);
comment on table section is 'A section as acquired, or its absence. One row per revision; one of them is current.';
comment on column section.section_id is 'Number of the row.';
comment on column section.volume_id is 'Volume it belongs to.';
comment on column section.z is 'Section number, as the microscope counts.';
comment on column section.revision is '1 for the first bytes seen, 2 for their first replacement, and so on.';
comment on column section.state is 'received, provisional (segments shown with incomplete context), final, missing (declared), superseded (by a later revision).';
comment on column section.content_sha256 is 'SHA-256 of the file''s bytes, hexadecimal; null while missing.';
comment on column section.source_path is 'File the bytes came from.';
comment on column section.height is 'Rows.';
comment on column section.width is 'Columns.';
comment on column section.bit_depth is 'Bits per pixel in the file.';
comment on column section.received_at is 'When the section was taken in.';
comment on column section.segmented_at is 'When the rows now shown were written.';
comment on column section.run_id is 'Run that wrote the state.';
comment on column section.file is 'HDF5 file that belongs to the fragment rows.';
comment on column section.signature is 'SHA-256 of everything the products were computed from, hexadecimal.';
comment on column section.mean_intensity is 'Mean of the pixels, 0 to 1.';
comment on column section.std_intensity is 'Standard deviation of the pixels, 0 to 1.';
comment on column section.note is 'A warning for people, such as equal bytes at another z.';

create table section_file (
  volume_id integer not null references volume,
  path text not null,
  section_id bigint not null references section,
  size bigint not null,
  mtime_ns bigint not null,
  first_seen timestamptz not null default now(),
  primary key (volume_id, path)
);
create index section_file_section on section_file (section_id);
comment on table section_file is 'Every path whose bytes are those of a section. A known path, size and time is not read again.';
comment on column section_file.volume_id is 'Volume.';
comment on column section_file.path is 'Path in the watched folder.';
comment on column section_file.section_id is 'Section whose bytes it holds.';
comment on column section_file.size is 'Bytes.';
comment on column section_file.mtime_ns is 'Modification time, nanoseconds since 1970.';
comment on column section_file.first_seen is 'When this path was first seen with these bytes.';

create table quarantine (
  quarantine_id bigint generated always as identity primary key,
  path text not null,
  size bigint not null,
  mtime_ns bigint not null,
  reason text not null,
  noticed_at timestamptz not null default now(),
  resolved_at timestamptz
);
create unique index quarantine_open on quarantine (path) where resolved_at is null;
comment on table quarantine is 'Files that could not be taken in.';
comment on column quarantine.quarantine_id is 'Number of the row.';
comment on column quarantine.path is 'The file.';
comment on column quarantine.size is 'Its bytes when it was looked at.';
comment on column quarantine.mtime_ns is 'Its modification time then, nanoseconds since 1970.';
comment on column quarantine.reason is 'Why, in a sentence.';
comment on column quarantine.noticed_at is 'When it was set aside.';
comment on column quarantine.resolved_at is 'When it was mended or removed; null while open.';

create table operation (
  operation_id bigint generated always as identity primary key,
  volume_id integer not null references volume,
  kind text not null
    check (kind in ('section_provisional', 'section_final', 'revision', 'declare_missing', 'finish', 'reopen')),
  first_z integer,
  z integer,
  run_id bigint references run,
  at timestamptz not null default now(),
  actor text not null
);
create index operation_volume on operation (volume_id, operation_id);
comment on table operation is 'Everything that changed the tables of segments, one row per transaction.';
comment on column operation.operation_id is 'Number; later operations have larger numbers.';
comment on column operation.volume_id is 'Volume.';
comment on column operation.kind is 'section_provisional, section_final (sections added), revision (final sections replaced), declare_missing, finish or reopen (the volume).';
comment on column operation.first_z is 'Lowest section it wrote.';
comment on column operation.z is 'Highest section it wrote.';
comment on column operation.run_id is 'Run that did it.';
comment on column operation.at is 'When (start of the transaction).';
comment on column operation.actor is 'Database user who did it.';

-- The tables from here on take tens of thousands of rows for each section. They have no foreign keys, because every check
-- would lock, and so rewrite, the row it looks up: old sections would be written again with every new one, and a commit
-- took three times as long. The daemon checks the same things in the same transaction before it writes.

create table segment (
  volume_id integer not null,
  segment_id bigint not null check (segment_id > 0),
  state text not null check (state in ('provisional', 'live', 'retired')),
  successor_id bigint check (successor_id <> segment_id),
  live_id bigint not null generated always as (coalesce(successor_id, segment_id)) stored,
  born_operation_id bigint not null,
  retired_operation_id bigint,
  primary key (volume_id, segment_id),
  foreign key (volume_id, successor_id) references segment deferrable initially deferred,
  check (state = 'retired' or successor_id is null),
  check ((state = 'retired') = (retired_operation_id is not null))
);
create index segment_live on segment (volume_id, live_id);
create index segment_successor on segment (volume_id, successor_id) where successor_id is not null;
comment on table segment is 'A neuron or a piece of one. Retired rows stay and name their successor.';
comment on column segment.volume_id is 'Volume.';
comment on column segment.segment_id is 'The smallest fragment id in it.';
comment on column segment.state is 'provisional (only fragments that are not final), live, retired.';
comment on column segment.successor_id is 'The live segment a retired one is part of now; null if live or vanished.';
comment on column segment.live_id is 'successor_id, or segment_id if there is none.';
comment on column segment.born_operation_id is 'Operation that made it.';
comment on column segment.retired_operation_id is 'Operation that retired it.';

create table fragment (
  volume_id integer not null,
  fragment_id bigint not null check (fragment_id > 0),
  z integer not null,
  label integer not null check (label > 0),
  area_px bigint not null check (area_px > 0),
  min_y integer not null,
  min_x integer not null,
  max_y integer not null,
  max_x integer not null,
  centroid_y double precision not null,
  centroid_x double precision not null,
  state text not null check (state in ('provisional', 'final')),
  segment_id bigint not null,
  operation_id bigint not null,
  primary key (volume_id, fragment_id),
  check (min_y < max_y and min_x < max_x)
);
create index fragment_section on fragment (volume_id, z);
create index fragment_segment on fragment (volume_id, segment_id);
comment on table fragment is 'A connected piece of one section: the unit that segments are made of.';
comment on column fragment.volume_id is 'Volume.';
comment on column fragment.fragment_id is 'Function of the section, of what it was computed from, and of the label.';
comment on column fragment.z is 'Section.';
comment on column fragment.label is 'Value of its pixels in the section''s HDF5 file.';
comment on column fragment.area_px is 'Pixels.';
comment on column fragment.min_y is 'First row of its box.';
comment on column fragment.min_x is 'First column of its box.';
comment on column fragment.max_y is 'Row after the last of its box.';
comment on column fragment.max_x is 'Column after the last of its box.';
comment on column fragment.centroid_y is 'Mean row.';
comment on column fragment.centroid_x is 'Mean column.';
comment on column fragment.state is 'provisional or final.';
comment on column fragment.segment_id is 'Segment it was assigned to; segment.live_id of that row is its segment today.';
comment on column fragment.operation_id is 'Operation since which this row says this.';

create table fragment_history (
  volume_id integer not null,
  fragment_id bigint not null,
  z integer not null,
  label integer not null,
  area_px bigint not null,
  min_y integer not null,
  min_x integer not null,
  max_y integer not null,
  max_x integer not null,
  centroid_y double precision not null,
  centroid_x double precision not null,
  segment_id bigint not null,
  operation_id bigint not null,
  until_operation_id bigint not null,
  reason text not null check (reason in ('superseded', 'reassigned')),
  primary key (volume_id, fragment_id, operation_id),
  check (operation_id < until_operation_id)
);
create index fragment_history_section on fragment_history (volume_id, z);
comment on table fragment_history is 'Rows that final fragments had before a revision replaced or reassigned them.';
comment on column fragment_history.volume_id is 'As in fragment.';
comment on column fragment_history.fragment_id is 'As in fragment.';
comment on column fragment_history.z is 'As in fragment.';
comment on column fragment_history.label is 'As in fragment.';
comment on column fragment_history.area_px is 'As in fragment.';
comment on column fragment_history.min_y is 'As in fragment.';
comment on column fragment_history.min_x is 'As in fragment.';
comment on column fragment_history.max_y is 'As in fragment.';
comment on column fragment_history.max_x is 'As in fragment.';
comment on column fragment_history.centroid_y is 'As in fragment.';
comment on column fragment_history.centroid_x is 'As in fragment.';
comment on column fragment_history.segment_id is 'As in fragment.';
comment on column fragment_history.operation_id is 'Operation since which the row said this.';
comment on column fragment_history.until_operation_id is 'Operation that ended it.';
comment on column fragment_history.reason is 'superseded (the fragment is gone) or reassigned (it belongs to another segment).';

create table region_edge (
  volume_id integer not null,
  fragment_a bigint not null,
  fragment_b bigint not null,
  z integer not null,
  kind text not null check (kind in ('within', 'between')),
  contact_area_px integer not null check (contact_area_px >= 0),
  mean_affinity real not null,
  score real not null,
  accepted boolean not null,
  operation_id bigint not null,
  primary key (volume_id, fragment_a, fragment_b),
  check (fragment_a < fragment_b)
);
create index region_edge_b on region_edge (volume_id, fragment_b);
create index region_edge_section on region_edge (volume_id, z);
comment on table region_edge is 'Contacts of final fragments and the decision on each. Segments are the components over accepted edges.';
comment on column region_edge.volume_id is 'Volume.';
comment on column region_edge.fragment_a is 'The fragment with the smaller id.';
comment on column region_edge.fragment_b is 'The other one.';
comment on column region_edge.z is 'Section the edge belongs to: that of fragment_b.';
comment on column region_edge.kind is 'within the section, or between it and the previous present one.';
comment on column region_edge.contact_area_px is 'Pixel pairs in contact.';
comment on column region_edge.mean_affinity is 'Mean affinity over the contact, 0 to 1.';
comment on column region_edge.score is 'Score at the decision, 0 to 1.';
comment on column region_edge.accepted is 'Whether both ends are of one neuron.';
comment on column region_edge.operation_id is 'Operation that wrote the row.';

create table lineage_event (
  lineage_id bigint generated always as identity primary key,
  operation_id bigint not null,
  volume_id integer not null,
  event text not null check (event in ('born', 'grown', 'merged', 'split', 'revised', 'settled')),
  segment_id bigint not null,
  other_segment_id bigint,
  z integer not null,
  cause_fragment_a bigint,
  cause_fragment_b bigint,
  score real,
  check ((event in ('born', 'grown')) = (other_segment_id is null) or event = 'revised')
);
create index lineage_event_segment on lineage_event (volume_id, segment_id);
create index lineage_event_other on lineage_event (volume_id, other_segment_id) where other_segment_id is not null;
create index lineage_event_operation on lineage_event (operation_id);
comment on table lineage_event is 'Every change of a segment. Replayed in order, the events and the fragment rows give the segments (function membership_as_of).';
comment on column lineage_event.lineage_id is 'Number; order of the events.';
comment on column lineage_event.operation_id is 'Operation it belongs to.';
comment on column lineage_event.volume_id is 'Volume.';
comment on column lineage_event.event is 'born: segment_id is new. grown: it reaches section z. merged: other_segment_id became part of segment_id. split: part of segment_id became (or went to) other_segment_id. revised: fragments of section z were replaced; segment_id continues other_segment_id, which may be itself; other_segment_id null: segment_id vanished. settled: the provisional segment_id turned out to be other_segment_id.';
comment on column lineage_event.segment_id is 'See event.';
comment on column lineage_event.other_segment_id is 'See event.';
comment on column lineage_event.z is 'Section that caused it.';
comment on column lineage_event.cause_fragment_a is 'merged: smaller end of the accepted edge that joined the two.';
comment on column lineage_event.cause_fragment_b is 'merged: larger end of that edge.';
comment on column lineage_event.score is 'merged: score of that edge.';

create view sections as
select v.name as volume, s.z, s.revision, s.state, s.received_at, s.segmented_at, f.fragments, s.height, s.width,
  s.bit_depth, s.mean_intensity, s.std_intensity, s.source_path, s.content_sha256, s.file, s.signature, s.run_id, s.note,
  s.section_id
from section s
join volume v using (volume_id)
cross join lateral (
  select count(*) as fragments from fragment where fragment.volume_id = s.volume_id and fragment.z = s.z
) f
where s.state <> 'superseded';
comment on view sections is 'The current row of every section, with the number of its fragments.';

create view segments as
select v.name as volume, s.live_id as segment_id,
  case when bool_or(f.state = 'final') then 'live' else 'provisional' end as state,
  sum(f.area_px)::bigint as size_voxels,
  sum(f.area_px) * (v.voxel_z_nm * v.voxel_y_nm * v.voxel_x_nm) / 1e9 as volume_um3,
  min(f.z) as first_z, max(f.z) as last_z,
  count(distinct f.z)::integer as sections,
  count(*)::integer as fragments,
  (count(*) filter (where f.state = 'provisional'))::integer as provisional_fragments,
  min(f.min_y) as min_y, min(f.min_x) as min_x, max(f.max_y) as max_y, max(f.max_x) as max_x,
  sum(f.z::double precision * f.area_px) / sum(f.area_px) as centroid_z,
  sum(f.centroid_y * f.area_px) / sum(f.area_px) as centroid_y,
  sum(f.centroid_x * f.area_px) / sum(f.area_px) as centroid_x
from segment s
join fragment f on f.volume_id = s.volume_id and f.segment_id = s.segment_id
join volume v on v.volume_id = s.volume_id
group by v.volume_id, s.live_id;
comment on view segments is 'Every segment there is now: size, extent and centre. Boxes are half open, in pixels.';

create view segment_sections as
select v.name as volume, s.live_id as segment_id, f.z,
  sum(f.area_px)::bigint as area_px,
  count(*)::integer as fragments,
  bool_and(f.state = 'final') as final,
  min(f.min_y) as min_y, min(f.min_x) as min_x, max(f.max_y) as max_y, max(f.max_x) as max_x,
  sum(f.centroid_y * f.area_px) / sum(f.area_px) as centroid_y,
  sum(f.centroid_x * f.area_px) / sum(f.area_px) as centroid_x
from segment s
join fragment f on f.volume_id = s.volume_id and f.segment_id = s.segment_id
join volume v on v.volume_id = s.volume_id
group by v.volume_id, s.live_id, f.z;
comment on view segment_sections is 'Every segment in every section that it crosses.';

create view lineage as
select v.name as volume, l.event, l.segment_id, l.other_segment_id, l.z, l.cause_fragment_a, l.cause_fragment_b, l.score,
  o.at, o.kind as operation, o.actor, o.run_id, r.model_hash, r.code_version, s.section_id, s.revision, s.source_path,
  l.operation_id, l.lineage_id
from lineage_event l
join operation o using (operation_id)
join volume v on v.volume_id = l.volume_id
left join run r on r.run_id = o.run_id
left join section s on s.volume_id = l.volume_id and s.z = l.z and s.state <> 'superseded';
comment on view lineage is 'What happened to segments, when, in which run, because of which section.';

create function membership_as_of(volume integer, operation bigint)
returns table (fragment_id bigint, segment_id bigint)
language sql stable set search_path from current as $$
  with recursive change as (
    select distinct on (c.segment) c.segment, c.parent
    from lineage_event l
    cross join lateral (
      select l.segment_id as segment, null::bigint as parent where l.event in ('born', 'revised')
      union all
      select l.other_segment_id, null where l.event = 'split'
      union all
      select l.other_segment_id, l.segment_id
      where l.event = 'merged' or (l.event = 'revised' and l.other_segment_id <> l.segment_id)
    ) c
    where l.volume_id = $1 and l.operation_id <= $2
    order by c.segment, l.lineage_id desc
  ),
  walk as (
    select c.segment, c.parent as live from change c where c.parent is not null
    union all
    select w.segment, c.parent from walk w join change c on c.segment = w.live where c.parent is not null
  ),
  root as (
    select w.segment, w.live from walk w join change c on c.segment = w.live where c.parent is null
  ),
  placed as (
    select f.fragment_id, f.segment_id from fragment f
    where f.volume_id = $1 and f.operation_id <= $2 and f.state = 'final'
    union all
    select h.fragment_id, h.segment_id from fragment_history h
    where h.volume_id = $1 and h.operation_id <= $2 and h.until_operation_id > $2
  )
  select p.fragment_id, coalesce(r.live, p.segment_id) from placed p left join root r on r.segment = p.segment_id
$$;
comment on function membership_as_of is 'Which final fragment belonged to which segment after an operation, replayed from the lineage.';

create function operation_at(volume integer, at timestamptz) returns bigint
language sql stable set search_path from current as $$
  select max(o.operation_id) from operation o where o.volume_id = $1 and o.at <= $2
$$;
comment on function operation_at is 'The last operation that had begun at a time.';

create function operation_of_section(volume integer, z integer) returns bigint
language sql stable set search_path from current as $$
  select min(o.operation_id) from operation o
  where o.volume_id = $1 and $2 between o.first_z and o.z and o.kind in ('section_final', 'revision')
$$;
comment on function operation_of_section is 'The operation that first made a section final.';
