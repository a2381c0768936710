-- Cells that touch, and the cell below and its neighbour: an edge up a column is accepted unless something begins there.
truncate region_edge;
insert into region_edge (volume_id, fragment_a, fragment_b, z, kind, contact_area_px, mean_affinity, score, accepted,
  operation_id)
select 1, made.id(case e.kind when 'within' then s.z else s.z - 1 end, e.label_a), made.id(s.z, e.label_b), s.z, e.kind,
  e.contact_area_px, (case when e.accepted then 0.7 else 0.3 end + 0.3 * e.chance)::real,
  (case when e.accepted then 0.6 else 0 end + 0.4 * e.chance)::real, e.accepted, s.operation_id
from made.section s
cross join lateral (
  select p.kind, p.label_a, p.label_b, p.contact_area_px, made.uniform(p.label_b, s.z, 8 + p.label_a) as chance,
    p.kind = 'between' and p.label_a = p.label_b and made.uniform(c.spine, s.z, 1) >= c.cut
      and (c.number = c.spine or made.uniform(c.number, s.z, 2) * h.mean_length >= 1) as accepted
  from made.pattern_edge p
  join made.column c on c.number = p.label_b - 1
  cross join made.shape h
  where p.parity = s.z % 2 and (p.kind = 'within' or s.z > 0)
    and not (p.kind = 'within' and c.spine = p.label_a - 1)
  offset 0
) e;

-- The edge that joins a piece to the spine, or does not.
insert into region_edge (volume_id, fragment_a, fragment_b, z, kind, contact_area_px, mean_affinity, score, accepted,
  operation_id)
select 1, made.id(p.join_z, p.spine + 1), made.id(p.join_z, p.col + 1), p.join_z, 'within', 20,
  case when p.orphan then 0.4 else 0.8 end, case when p.orphan then 0.45 else 0.7 end, not p.orphan, s.operation_id
from made.piece p join made.section s on s.z = p.join_z
order by p.join_z, p.col;
