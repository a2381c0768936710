-- What listeners are told, in the transaction that did it: LISTEN fgnet_section, fgnet_segment, fgnet_alarm.

create function tell_section() returns trigger
language plpgsql set search_path to fgnet, pg_temp as $$
begin
  if tg_op = 'INSERT' or new.state <> old.state or new.signature is distinct from old.signature then
    perform pg_notify('fgnet_section', json_build_object(
      'volume', (select v.name from volume v where v.volume_id = new.volume_id), 'z', new.z, 'revision', new.revision,
      'state', new.state, 'run', new.run_id)::text);
  end if;
  return null;
end $$;
comment on function tell_section is 'Tells listeners to fgnet_section of a section''s new state.';
create trigger tell_section after insert or update on section for each row execute function tell_section();

create function tell_operation() returns trigger
language plpgsql set search_path to fgnet, pg_temp as $$
declare
  counts json;
  named json;
  total integer;
begin
  select json_object_agg(e.event, e.number order by e.event) into counts from (
    select l.event, count(*) as number from lineage_event l where l.operation_id = new.operation_id group by l.event
  ) e;
  if counts is null and new.kind in ('declare_missing', 'finish', 'reopen', 'section_provisional') then return null; end if;
  -- A payload has less than 8000 bytes: at most 100 segments are named, changed ones before those that were born.
  select json_agg(s.segment_id order by s.place) filter (where s.place <= 100), count(*) into named, total from (
    select d.segment_id, row_number() over (order by d.is_born, d.segment_id) as place from (
      select l.segment_id, bool_and(l.event = 'born') as is_born from lineage_event l
      where l.operation_id = new.operation_id and l.event <> 'settled' group by l.segment_id
    ) d
  ) s;
  perform pg_notify('fgnet_segment', json_build_object(
    'volume', (select v.name from volume v where v.volume_id = new.volume_id), 'operation', new.operation_id,
    'kind', new.kind, 'first_z', new.first_z, 'last_z', new.z, 'actor', new.actor, 'events', coalesce(counts, '{}'::json),
    'segments', coalesce(named, '[]'::json), 'segments_in_all', coalesce(total, 0))::text);
  return null;
end $$;
comment on function tell_operation is 'Tells listeners to fgnet_segment of an operation that changed segments, at its commit.';
create constraint trigger tell_operation after insert on operation deferrable initially deferred
  for each row execute function tell_operation();

create function tell_alarm() returns trigger
language plpgsql set search_path to fgnet, pg_temp as $$
begin
  perform pg_notify('fgnet_alarm', json_build_object('source', left(new.source, 600), 'kind', new.kind,
    'text', left(new.text, 600), 'since', new.raised_at, 'ended', new.ended_at)::text);
  return null;
end $$;
comment on function tell_alarm is 'Tells listeners to fgnet_alarm that an alarm was raised, changed or ended.';
create trigger tell_alarm after insert or update on alarm for each row execute function tell_alarm();

create function tell_quarantine() returns trigger
language plpgsql set search_path to fgnet, pg_temp as $$
begin
  perform pg_notify('fgnet_alarm', json_build_object('source', left(new.path, 600), 'kind', 'quarantine',
    'text', left(new.reason, 600), 'since', new.noticed_at, 'ended', new.resolved_at)::text);
  return null;
end $$;
comment on function tell_quarantine is 'Tells listeners to fgnet_alarm that a file was set aside, or that it was mended.';
create trigger tell_quarantine after insert or update on quarantine for each row execute function tell_quarantine();
