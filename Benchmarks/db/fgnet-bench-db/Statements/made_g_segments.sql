create view made.version as
select s.operation_id, o.root as segment_id, 'live' as state, null::bigint as successor_id, s.operation_id as born,
  null::bigint as retired
from made.object o join made.section s on s.z = o.first_z
union all
select s.operation_id, p.name, 'live', null, s.operation_id, null
from made.piece p join made.section s on s.z = p.first_z where p.orphan or p.join_z > p.first_z
union all
select m.operation_id, p.name, 'retired', p.root, b.operation_id, m.operation_id
from made.piece p
join made.section b on b.z = p.first_z
join made.section m on m.z = p.join_z
where not p.orphan and p.join_z > p.first_z
union all
select e.operation_id, p.name, case p.edit when 'merge' then 'retired' else 'live' end,
  case p.edit when 'merge' then p.root end,
  case when p.orphan or p.join_z > p.first_z then b.operation_id else e.operation_id end,
  case p.edit when 'merge' then e.operation_id end
from made.piece p
join made.operation e on e.piece = p.number and e.step = 1
join made.section b on b.z = p.first_z;

truncate segment_change;
insert into segment_change (operation_id, volume_id, segment_id, state, successor_id, born_operation_id,
  retired_operation_id)
select v.operation_id, 1, v.segment_id, v.state, v.successor_id, v.born, v.retired from made.version v
order by v.operation_id, v.segment_id;

insert into segment (volume_id, segment_id, state, successor_id, born_operation_id, retired_operation_id)
select 1, v.segment_id, v.state, v.successor_id, v.born, v.retired
from (select distinct on (segment_id) * from made.version order by segment_id, operation_id desc) v order by v.segment_id;

insert into correction (volume_id, decision, fragment_a, fragment_b, segment_a, segment_b, origin_operation_id, operation_id)
select 1, k.decision, k.a, k.b, k.segment_a, k.segment_b, k.operation_id, k.operation_id
from (
  select case p.edit when 'merge' then 'join' else 'separate' end as decision, made.id(p.join_z, p.spine + 1) as a,
    made.id(p.join_z, p.col + 1) as b, p.root as segment_a,
    case p.edit when 'merge' then p.root else p.name end as segment_b, e.operation_id
  from made.piece p join made.operation e on e.piece = p.number and e.step = 1
  union all
  select 'note', p.name, null,
    case when p.edit = 'split' or (p.orphan and p.edit is distinct from 'merge') then p.name else p.root end, null,
    e.operation_id
  from made.operation e join made.piece p on p.number = e.piece where e.step = 2
) k order by k.operation_id;
