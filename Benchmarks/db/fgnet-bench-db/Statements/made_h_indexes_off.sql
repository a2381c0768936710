-- Indexes of the large tables are made after the rows. Their definitions come from the catalogue, as the server words them.
create table made.index (relation text not null, definition text not null);
insert into made.index (relation, definition)
select c.conrelid::regclass::text, format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname,
  pg_get_constraintdef(c.oid))
from pg_constraint c
where c.contype = 'p' and c.conrelid in ('fragment'::regclass, 'region_edge'::regclass, 'lineage_event'::regclass,
  'segment_change'::regclass);
insert into made.index (relation, definition)
select i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid) from pg_index i
where not i.indisprimary and i.indrelid in ('fragment'::regclass, 'region_edge'::regclass, 'lineage_event'::regclass,
  'segment_change'::regclass);
do $$
declare
  item record;
begin
  for item in
    select c.conrelid::regclass as relation, c.conname as name from pg_constraint c
    where c.contype = 'p' and c.conrelid in ('fragment'::regclass, 'region_edge'::regclass, 'lineage_event'::regclass,
      'segment_change'::regclass)
  loop
    execute format('alter table %s drop constraint %I', item.relation, item.name);
  end loop;
  for item in
    select i.indexrelid::regclass as name from pg_index i
    where i.indrelid in ('fragment'::regclass, 'region_edge'::regclass, 'lineage_event'::regclass, 'segment_change'::regclass)
  loop
    execute format('drop index %s', item.name);
  end loop;
end $$;
