-- The roles of fgnetd, for the administrator of a PostgreSQL server. Needs the right to make roles; may be repeated.
-- Give them to people and to the daemon's account: grant fgnet_reader to alice; grant fgnet_daemon to fgnetd;
do $$
begin
  -- Roles belong to the whole server: another database may make them at the same time.
  perform pg_advisory_xact_lock(1718513780, -1);
  if not exists (select from pg_roles where rolname = 'fgnet_reader') then create role fgnet_reader nologin; end if;
  if not exists (select from pg_roles where rolname = 'fgnet_proofreader') then create role fgnet_proofreader nologin; end if;
  if not exists (select from pg_roles where rolname = 'fgnet_administrator') then
    create role fgnet_administrator nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'fgnet_daemon') then create role fgnet_daemon nologin; end if;
  -- The daemon writes by COPY, which row-level security forbids. Only a superuser may say this; without it, rows are not
  -- guarded by volume.
  if (select rolsuper from pg_roles where rolname = current_user)
    and not (select rolbypassrls from pg_roles where rolname = 'fgnet_daemon')
  then
    alter role fgnet_daemon bypassrls;
  end if;
end $$;
comment on role fgnet_reader is 'fgnetd: may read what the volumes'' access lists let it.';
comment on role fgnet_proofreader is 'fgnetd: a reader who may call the functions that correct segments.';
comment on role fgnet_administrator is 'fgnetd: reads all volumes, says who may read which.';
comment on role fgnet_daemon is 'fgnetd: writes rows of all volumes; may not change the schema.';
