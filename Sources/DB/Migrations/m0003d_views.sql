create or replace view sections as
select v.name as volume, s.z, s.revision, s.state, s.received_at, s.segmented_at, f.fragments, s.height, s.width,
  s.bit_depth, s.mean_intensity, s.std_intensity, s.source_path, s.content_sha256, s.file, s.signature, s.run_id, s.note,
  s.section_id, s.plane, s.pixel_y_nm, s.pixel_x_nm, s.dark_fraction, s.bright_fraction, s.sharpness,
  (select g.contact_affinity_below from section_segmentation g where g.volume_id = s.volume_id and g.z = s.z
    order by g.operation_id desc limit 1) as contact_affinity_below
from section s
join volume v using (volume_id)
cross join lateral (
  select count(*) as fragments from fragment where fragment.volume_id = s.volume_id and fragment.z = s.z
) f
where s.state <> 'superseded';

create or replace view segments as
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
  sum(f.centroid_x * f.area_px) / sum(f.area_px) as centroid_x,
  min((select greatest(
      (select max(e.score) from region_edge e
        where e.volume_id = f.volume_id and e.fragment_a = f.fragment_id and e.accepted),
      (select max(e.score) from region_edge e
        where e.volume_id = f.volume_id and e.fragment_b = f.fragment_id and e.accepted)))) as confidence
from segment s
join fragment f on f.volume_id = s.volume_id and f.segment_id = s.segment_id
join volume v on v.volume_id = s.volume_id
group by v.volume_id, s.live_id;

create or replace view segment_sections as
select v.name as volume, s.live_id as segment_id, f.z,
  sum(f.area_px)::bigint as area_px,
  count(*)::integer as fragments,
  bool_and(f.state = 'final') as final,
  min(f.min_y) as min_y, min(f.min_x) as min_x, max(f.max_y) as max_y, max(f.max_x) as max_x,
  sum(f.centroid_y * f.area_px) / sum(f.area_px) as centroid_y,
  sum(f.centroid_x * f.area_px) / sum(f.area_px) as centroid_x,
  outline_of(v.volume_id, f.z, (select g.labels_operation_id from segmentation_as_of(v.volume_id, f.z) g),
    array_agg(f.label), min(f.min_y), min(f.min_x), max(f.max_y), max(f.max_x)) as outline
from segment s
join fragment f on f.volume_id = s.volume_id and f.segment_id = s.segment_id
join volume v on v.volume_id = s.volume_id
group by v.volume_id, s.live_id, f.z;

comment on column sections.volume is 'Name of the volume.';
comment on column sections.z is 'Section number, as the microscope counts.';
comment on column sections.revision is '1 for the first bytes seen, 2 for their first replacement, and so on.';
comment on column sections.state is 'received, provisional, final or missing.';
comment on column sections.received_at is 'When it was taken in.';
comment on column sections.segmented_at is 'When the rows now shown were written.';
comment on column sections.fragments is 'Fragments in it now.';
comment on column sections.height is 'Rows, pixels.';
comment on column sections.width is 'Columns, pixels.';
comment on column sections.bit_depth is 'Bits per pixel as kept.';
comment on column sections.mean_intensity is 'Mean of the pixels, 0 to 1.';
comment on column sections.std_intensity is 'Standard deviation of the pixels, 0 to 1.';
comment on column sections.source_path is 'File the bytes came from.';
comment on column sections.content_sha256 is 'SHA-256 of the content, hexadecimal.';
comment on column sections.file is 'HDF5 file of the results.';
comment on column sections.signature is 'SHA-256 of everything the results were computed from, hexadecimal.';
comment on column sections.run_id is 'Run that wrote the state.';
comment on column sections.note is 'A warning for people.';
comment on column sections.section_id is 'Number of the section''s row.';
comment on column sections.plane is 'Which of the file''s pages or planes it is, from 0.';
comment on column sections.pixel_y_nm is 'Pixel height by the file, nanometres.';
comment on column sections.pixel_x_nm is 'Pixel width by the file, nanometres.';
comment on column sections.dark_fraction is 'Share of the pixels with the smallest value there is, 0 to 1.';
comment on column sections.bright_fraction is 'Share of the pixels with the largest value there is, 0 to 1.';
comment on column sections.sharpness is 'Root mean square difference of neighbouring pixels over std_intensity; falls when the focus is lost.';
comment on column sections.contact_affinity_below is 'Mean affinity over all contacts with the section below, 0 to 1; low where the two do not fit.';

comment on column segments.volume is 'Name of the volume.';
comment on column segments.segment_id is 'The smallest fragment id in it.';
comment on column segments.state is 'live, or provisional if none of its fragments is final.';
comment on column segments.size_voxels is 'Voxels.';
comment on column segments.volume_um3 is 'Cubic micrometres.';
comment on column segments.first_z is 'Lowest section.';
comment on column segments.last_z is 'Highest section.';
comment on column segments.sections is 'Sections that it crosses.';
comment on column segments.fragments is 'Fragments in it.';
comment on column segments.provisional_fragments is 'Those of them that are not final yet.';
comment on column segments.min_y is 'First row of its box, pixels.';
comment on column segments.min_x is 'First column of its box, pixels.';
comment on column segments.max_y is 'Row after the last of its box, pixels.';
comment on column segments.max_x is 'Column after the last of its box, pixels.';
comment on column segments.centroid_z is 'Mean section of its voxels.';
comment on column segments.centroid_y is 'Mean row of its voxels, pixels.';
comment on column segments.centroid_x is 'Mean column of its voxels, pixels.';
comment on column segments.confidence is 'How well its worst attached fragment is attached: each fragment''s best accepted edge, and of these the lowest score, 0 to 1. Null for a single fragment. Costs two look-ups for each fragment, and nothing if the column is not asked for.';

comment on column segment_sections.volume is 'Name of the volume.';
comment on column segment_sections.segment_id is 'The segment.';
comment on column segment_sections.z is 'A section that it crosses.';
comment on column segment_sections.area_px is 'Its pixels there.';
comment on column segment_sections.fragments is 'Its fragments there.';
comment on column segment_sections.final is 'Whether they are all final.';
comment on column segment_sections.min_y is 'First row of its box there, pixels.';
comment on column segment_sections.min_x is 'First column of its box there, pixels.';
comment on column segment_sections.max_y is 'Row after the last of its box there, pixels.';
comment on column segment_sections.max_x is 'Column after the last of its box there, pixels.';
comment on column segment_sections.centroid_y is 'Mean row of its pixels there.';
comment on column segment_sections.centroid_x is 'Mean column of its pixels there.';
comment on column segment_sections.outline is 'Its exact outline there, as well-known text (MULTIPOLYGON of pixel corners "x y"), holes included. Computed when asked for: ask for one segment or one section.';

comment on column lineage.volume is 'Name of the volume.';
comment on column lineage.event is 'born, grown, merged, split, revised or settled; see lineage_event.event.';
comment on column lineage.segment_id is 'See lineage_event.event.';
comment on column lineage.other_segment_id is 'See lineage_event.event.';
comment on column lineage.z is 'Section that caused it.';
comment on column lineage.cause_fragment_a is 'merged: smaller end of the accepted edge that joined the two.';
comment on column lineage.cause_fragment_b is 'merged: larger end of that edge.';
comment on column lineage.score is 'merged: score of that edge, 0 to 1.';
comment on column lineage.at is 'When (start of the transaction).';
comment on column lineage.operation is 'Kind of the operation; see operation.kind.';
comment on column lineage.actor is 'Database user who did it.';
comment on column lineage.run_id is 'Run that did it.';
comment on column lineage.model_hash is 'SHA-256 of that run''s weights file.';
comment on column lineage.code_version is 'Version of that run''s program.';
comment on column lineage.section_id is 'The section''s current row.';
comment on column lineage.revision is 'Its revision now.';
comment on column lineage.source_path is 'File its bytes came from.';
comment on column lineage.operation_id is 'Number of the operation.';
comment on column lineage.lineage_id is 'Number of the event; order of the events.';

-- A view shows what its reader may see in the tables, not what its owner may.
alter view sections set (security_invoker = true);
alter view segments set (security_invoker = true);
alter view segment_sections set (security_invoker = true);
alter view lineage set (security_invoker = true);
alter function membership_as_of(integer, bigint) set search_path to fgnet, pg_temp;
alter function operation_at(integer, timestamptz) set search_path to fgnet, pg_temp;
alter function operation_of_section(integer, integer) set search_path to fgnet, pg_temp;
