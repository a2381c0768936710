truncate fragment;
insert into fragment (volume_id, fragment_id, z, label, area_px, min_y, min_x, max_y, max_x, centroid_y, centroid_x, state,
  segment_id, operation_id)
select 1, made.id(c.z, c.col + 1), c.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.centroid_y, f.centroid_x,
  'final', c.segment_id, coalesce(c.edited, s.operation_id)
from (
  select o.spine as col, z.z, o.root as segment_id, null::bigint as edited
  from made.object o, generate_series(o.first_z, o.last_z) z (z)
  union all
  select p.col, z.z, case when p.orphan or z.z < p.join_z or p.edit = 'split' then p.name else p.root end,
    case when z.z >= p.join_z then e.operation_id end
  from made.piece p
  left join made.operation e on e.piece = p.number and e.step = 1 and p.edit = 'split'
  cross join generate_series(p.first_z, p.last_z) z (z)
) c
join made.section s on s.z = c.z
join made.pattern_fragment f on f.parity = c.z % 2 and f.label = c.col + 1
order by c.z, c.col;

insert into fragment_history (volume_id, fragment_id, z, label, area_px, min_y, min_x, max_y, max_x, centroid_y, centroid_x,
  segment_id, operation_id, until_operation_id, reason)
select 1, made.id(s.z, p.col + 1), s.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.centroid_y, f.centroid_x,
  p.root, s.operation_id, e.operation_id, 'reassigned'
from made.piece p
join made.operation e on e.piece = p.number and e.step = 1
join made.section s on s.z between p.join_z and p.last_z
join made.pattern_fragment f on f.parity = s.z % 2 and f.label = p.col + 1
where p.edit = 'split' order by e.operation_id, s.z;
