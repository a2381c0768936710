alter table section
  add column plane integer not null default 0 check (plane >= 0),
  add column pixel_y_nm double precision check (pixel_y_nm > 0),
  add column pixel_x_nm double precision check (pixel_x_nm > 0),
  add check ((pixel_y_nm is null) = (pixel_x_nm is null));
comment on column section.content_sha256 is 'SHA-256 of the file''s bytes, hexadecimal; null while missing. Of the section''s grey values where the volume takes stacks or the file''s numbers had to be mapped.';
comment on column section.bit_depth is 'Bits per pixel as kept: 8 or 16.';
comment on column section.note is 'A warning for people: equal bytes at another z, or a pixel size that is not the volume''s.';
comment on column section.plane is 'Which of the file''s pages or planes it is, from 0.';
comment on column section.pixel_y_nm is 'Pixel height by the file, nanometres; null if it does not tell.';
comment on column section.pixel_x_nm is 'Pixel width by the file, nanometres; null if it does not tell.';

alter table section_file
  add column plane integer not null default 0,
  add column planes integer not null default 1,
  drop constraint section_file_pkey,
  add primary key (volume_id, path, plane);
comment on table section_file is 'Every path whose bytes are those of a section, with a row for each section in it. A known path, size and time of which all sections are known is not read again.';
comment on column section_file.plane is 'Which of the file''s pages or planes the section is, from 0.';
comment on column section_file.planes is 'Sections in the file.';

create or replace view sections as
select v.name as volume, s.z, s.revision, s.state, s.received_at, s.segmented_at, f.fragments, s.height, s.width,
  s.bit_depth, s.mean_intensity, s.std_intensity, s.source_path, s.content_sha256, s.file, s.signature, s.run_id, s.note,
  s.section_id, s.plane, s.pixel_y_nm, s.pixel_x_nm
from section s
join volume v using (volume_id)
cross join lateral (
  select count(*) as fragments from fragment where fragment.volume_id = s.volume_id and fragment.z = s.z
) f
where s.state <> 'superseded';
