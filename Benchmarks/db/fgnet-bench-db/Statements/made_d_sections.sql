insert into operation (operation_id, volume_id, kind, first_z, z, run_id, at, actor, reason, database_user)
overriding system value
select o.operation_id, 1, o.kind, o.first_z, o.z, case o.step when 0 then 1 end,
  timestamptz '2026-01-01' + o.z * interval '5 minutes' + o.step * interval '1 minute',
  case o.step when 0 then 'fgnetd' else 'made up' end, case o.step when 0 then null else 'made up' end, 'fgnet'
from made.operation o order by o.operation_id;
select setval(pg_get_serial_sequence('operation', 'operation_id'), max(operation_id)) from operation;

insert into section (volume_id, z, revision, state, content_sha256, source_path, height, width, bit_depth, received_at,
  segmented_at, run_id, file, signature, mean_intensity, std_intensity, sharpness, dark_fraction, bright_fraction)
select 1, s.z, 1, 'final', encode(sha256(s.z::text::bytea), 'hex'), 'made up', v.height, v.width, 8, o.at, o.at, 1,
  'z' || s.z || '.h5', encode(sha256(s.z::text::bytea), 'hex'), 0.5, 0.1, 0.8, 0, 0
from made.section s join operation o using (operation_id) cross join volume v order by s.z;

insert into section_file (volume_id, path, section_id, size, mtime_ns)
select 1, 'z' || s.z || '.tif', s.section_id, 17640000, s.z from section s;

insert into section_segmentation (volume_id, z, operation_id, section_id, run_id, state, file, signature, fragments,
  fragment_base, labels_operation_id, contact_affinity_below)
select 1, s.z, m.operation_id, s.section_id, 1, 'final', s.file, s.signature,
  (select count(*) from made.column), made.id(s.z, 0), m.operation_id, case when s.z > 0 then 0.6 end
from section s join made.section m using (z) order by s.z;

insert into label_tile (volume_id, z, operation_id, min_y, min_x, height_px, runs)
select 1, s.z, s.operation_id, t.min_y, t.min_x, t.height_px, t.runs
from made.section s join made.pattern_tile t on t.parity = s.z % 2 order by s.z, t.min_y, t.min_x;
