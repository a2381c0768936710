create view made.event as
-- Of commits.
select s.operation_id, o.root as place, 1 as step, case s.z when o.first_z then 'born' else 'grown' end as event,
  o.root as segment_id, null::bigint as other_segment_id, s.z, null::bigint as cause_a, null::bigint as cause_b,
  null::real as score
from made.object o join made.section s on s.z between o.first_z and o.last_z
union all
select s.operation_id, p.name, 1, case s.z when p.first_z then 'born' else 'grown' end, p.name, null, s.z, null, null, null
from made.piece p
join made.section s on s.z between p.first_z and case when p.orphan then p.last_z else p.join_z - 1 end
union all
select s.operation_id, p.root, 2, 'merged', p.root, p.name, p.join_z, made.id(p.join_z, p.spine + 1),
  made.id(p.join_z, p.col + 1), 0.7
from made.piece p join made.section s on s.z = p.join_z where not p.orphan and p.join_z > p.first_z
union all
-- Of people.
select e.operation_id, k.place, k.step, k.event, k.segment_id, k.other_segment_id, p.join_z, made.id(p.join_z, p.spine + 1),
  made.id(p.join_z, p.col + 1), case when p.orphan then 0.45 else 0.7 end::real
from made.piece p
join made.operation e on e.piece = p.number and e.step = 1
cross join lateral (values
  ('merge', p.root, 2, 'merged', p.root, p.name), ('merge', p.root, 3, 'corrected', p.root, null),
  ('split', p.root, 3, 'corrected', p.root, null), ('split', p.name, 1, 'split', p.root, p.name),
  ('split', p.name, 3, 'corrected', p.name, null)
) k (edit, place, step, event, segment_id, other_segment_id)
where k.edit = p.edit;

truncate lineage_event;
insert into lineage_event (operation_id, volume_id, event, segment_id, other_segment_id, z, cause_fragment_a,
  cause_fragment_b, score)
select e.operation_id, 1, e.event, e.segment_id, e.other_segment_id, e.z, e.cause_a, e.cause_b, e.score
from made.event e order by e.operation_id, e.place, e.step;
