-- What the roles may do in the schema fgnet. By its owner; may be repeated, and is after every step of the schema.
do $$
declare
  item record;
begin
  perform pg_advisory_xact_lock(1718513780, 0);
  revoke all on schema fgnet from public;
  grant usage on schema fgnet to fgnet_reader, fgnet_proofreader, fgnet_administrator, fgnet_daemon;
  grant select on all tables in schema fgnet to fgnet_reader, fgnet_proofreader, fgnet_administrator, fgnet_daemon;
  grant insert, update, delete on all tables in schema fgnet to fgnet_daemon;
  revoke insert, update, delete on fgnet.schema_migration, fgnet.volume_access from fgnet_daemon;
  grant insert, update, delete on fgnet.volume_access to fgnet_administrator;
  revoke execute on all functions in schema fgnet from public;
  grant execute on all functions in schema fgnet to fgnet_proofreader, fgnet_administrator, fgnet_daemon;
  -- Names come from the catalogue, quoted by the server. Readers may call what changes nothing.
  for item in
    select p.oid::regprocedure as name, p.provolatile = 'v' as changes from pg_proc p
    where p.pronamespace = 'fgnet'::regnamespace
  loop
    if item.changes then
      execute format('revoke execute on function %s from fgnet_reader', item.name);
    else
      execute format('grant execute on function %s to fgnet_reader', item.name);
    end if;
  end loop;
  -- Rows are guarded by volume wherever there is one.
  if (select rolbypassrls or rolsuper from pg_roles where rolname = 'fgnet_daemon') then
    for item in
      select c.oid::regclass as name from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'volume_id' and not a.attisdropped
      where c.relnamespace = 'fgnet'::regnamespace and c.relkind = 'r' and c.relname <> 'volume_access'
    loop
      execute format('drop policy if exists by_volume on %s', item.name);
      execute format(
        'create policy by_volume on %s using (volume_id <> all ((select fgnet.closed_volumes())::integer[]))', item.name);
      execute format('alter table %s enable row level security', item.name);
    end loop;
  end if;
end $$;
