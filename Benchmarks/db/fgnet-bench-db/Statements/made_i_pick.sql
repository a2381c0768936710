-- The segments that questions are asked about: the one with the most events behind it, and one with 10 000. A person joins two
-- segments that have them together, if there are such.
create schema if not exists picked;
drop table if exists picked.segment;
create temporary table behind on commit drop as
select s.live_id as segment_id, count(*) as events
from lineage_event l join segment s on s.volume_id = l.volume_id and s.segment_id = l.segment_id
group by s.live_id;
create table picked.segment as
(select 'largest' as name, b.segment_id from behind b order by b.events desc, b.segment_id limit 1)
union all
(select 'asked', b.segment_id from behind b where b.events < 10000 order by b.events desc, b.segment_id limit 1);
set local session_replication_role to origin;
select merge('cortex', a.segment_id, b.segment_id, 'to be asked about', 'made up')
from picked.segment p
join behind a on a.segment_id = p.segment_id
cross join lateral (
  select b.segment_id from behind b where b.segment_id <> a.segment_id and a.events + b.events between 10000 and 19999
  order by b.events, b.segment_id limit 1
) b
where p.name = 'asked';
update picked.segment p set segment_id = s.live_id from segment s where s.segment_id = p.segment_id;
drop schema made cascade;
