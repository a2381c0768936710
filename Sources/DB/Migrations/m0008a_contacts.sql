-- Contacts of segments, summed over blocks of 32 sections, so that a question about a large segment need not read its edges.
-- Everything goes by the names under which fragments are recorded (fragment.segment_id): merges leave them as they are.

create table contact_block (
  volume_id integer not null references volume,
  block integer not null,
  version integer not null generated always as identity,
  is_complete boolean not null default false,
  first_block integer not null default -4096,
  last_block integer not null default 4095,
  primary key (volume_id, block),
  check (block between first_block and last_block)
);
comment on table contact_block is 'Blocks of 32 sections of which segment_contact holds the contacts. A row goes in the transaction that changes edges or names the block depends on; the daemon sums the block up again when it has nothing else to do.';
comment on column contact_block.volume_id is 'Volume.';
comment on column contact_block.block is 'Number of the block: z >> 5 of its sections.';
comment on column contact_block.version is 'Rows of segment_contact with this version are the block''s; others are left over.';
comment on column contact_block.is_complete is 'False while the block is being summed up: then its rows do not count.';
comment on column contact_block.first_block is 'Lowest block whose fragments are ends of the block''s edges.';
comment on column contact_block.last_block is 'Highest such block.';

create table segment_contact (
  segment_id bigint not null,
  other_id bigint not null,
  contact_area_px bigint not null,
  affinity_area double precision not null,
  volume_id integer not null,
  block integer not null,
  version integer not null,
  contacts integer not null,
  best_score real not null
);
create index segment_contact_segment on segment_contact (volume_id, segment_id);
-- Rows of a block lie together, so page ranges find those that are left over.
create index segment_contact_block on segment_contact using brin (volume_id, block) with (pages_per_range = 16, autosummarize = on);
comment on table segment_contact is 'Contacts of the fragments of a block that are recorded under one name with all fragments that are recorded under another; each contact is there from both its sides. Counts if contact_block has its version. Read by neighbours.';
comment on column segment_contact.segment_id is 'Name of the fragments in the block: fragment.segment_id.';
comment on column segment_contact.other_id is 'Name of the fragments that they touch, in the block or next to it.';
comment on column segment_contact.contact_area_px is 'Pixel pairs in contact.';
comment on column segment_contact.affinity_area is 'Sum over the contacts of mean affinity times area.';
comment on column segment_contact.volume_id is 'Volume.';
comment on column segment_contact.block is 'Block of the fragments of segment_id.';
comment on column segment_contact.version is 'See contact_block.version.';
comment on column segment_contact.contacts is 'Edges.';
comment on column segment_contact.best_score is 'Highest score of an edge, 0 to 1.';

-- By block too, which costs no bytes where a segment has many fragments in a block: entries with equal keys share them.
drop index fragment_segment;
create index fragment_segment on fragment (volume_id, segment_id, (z >> 5));

create function forget_contacts(volume_id integer, blocks integer[], as_far_as_edges boolean) returns void
language sql set search_path to fgnet, pg_temp as $$
  delete from contact_block c where c.volume_id = $1 and (c.block = any ($2)
    or ($3 and exists (select from unnest($2) b (block) where b.block between c.first_block and c.last_block)))
$$;
comment on function forget_contacts is 'Says that the summaries of blocks do not count any more, as edges of their fragments come; with as_far_as_edges also those of blocks that edges connect to them, as edges go or fragments get another name. In the transaction that changes them, which has claimed the volume.';

create function forget_renamed() returns trigger
language plpgsql set search_path to fgnet, pg_temp as $$
begin
  perform forget_contacts(c.volume_id, array_agg(c.block), true) from (
    select distinct n.volume_id, n.z >> 5 as block from changed n
  ) c group by c.volume_id;
  return null;
end $$;
comment on function forget_renamed is 'Trigger: forgets the summaries that fragments given to another segment were in. Fragments are changed by revisions and splits only, so a commit of new sections does not pay for it.';
create trigger forget_renamed after update on fragment
  referencing new table as changed for each statement execute function forget_renamed();

create function open_contact_block(volume_id integer) returns integer
language sql stable set search_path to fgnet, pg_temp as $$
  -- A block that commits are still to come to is left alone, as each of them would make it void again.
  select q.block from (
    select s.z >> 5 as block, bool_or(s.state = 'final') as is_shown,
      bool_and(s.state not in ('received', 'provisional')) as is_settled,
      bool_or(bool_or(s.state = 'final')) over (order by s.z >> 5 rows between 1 following and unbounded following)
        as is_past,
      bool_and(bool_and(s.state not in ('received', 'provisional')))
        over (order by s.z >> 5 rows between current row and unbounded following) as is_settled_above
    from section s where s.volume_id = $1 and s.state <> 'superseded' group by s.z >> 5
  ) q
  join volume v on v.volume_id = $1
  where q.is_shown and q.is_settled and (q.is_past or (v.last_z is not null and q.is_settled_above))
    and not exists (select from contact_block c where c.volume_id = $1 and c.block = q.block and c.is_complete)
  order by q.block limit 1
$$;
comment on function open_contact_block is 'The lowest block of a volume that waits to be summed up: its sections are final, and so is one above them, or the volume is finished. Null if there is none.';

-- Summing up takes seconds, so it holds no lock that a commit or an edit waits for. Those hold the volume (claim_volume) from
-- before they change edges or names until they are committed. begin_contacts notes, while nobody holds it, that the block is
-- being summed up, and ends; whatever is changed from then on removes that row (forget_contacts). summarise_contacts reads
-- after that, and what it found counts only if the row is still there when it is done.
create function begin_contacts(volume_id integer, block integer) returns integer
language plpgsql set search_path to fgnet, pg_temp as $$
#variable_conflict use_column
declare
  made integer;
begin
  -- As in claim_volume, but never waits.
  if not pg_try_advisory_xact_lock(1718513781, $1) then return null; end if;
  delete from contact_block c where c.volume_id = $1 and c.block = $2;
  insert into contact_block (volume_id, block) values ($1, $2) returning version into made;
  return made;
end $$;
comment on function begin_contacts is 'Notes that a block is being summed up, in a transaction of its own; gives the version for summarise_contacts. Null if somebody changes the volume just now.';

create function block_contacts(volume_id integer, block integer)
returns table (segment_id bigint, other_id bigint, contact_area_px bigint, contacts integer, affinity_area double precision,
  best_score real, first_block integer, last_block integer)
language plpgsql stable set search_path to fgnet, pg_temp set jit to off set enable_nestloop to off
  set enable_mergejoin to off set enable_seqscan to off set work_mem to '64MB' set max_parallel_workers_per_gather to 0 as $$
#variable_conflict use_column
declare
  lowest constant bigint := ($2 + 4096)::bigint << 50;
  highest constant bigint := lowest + (1::bigint << 50) - 1;
begin
  return query
  with own as materialized (
    select f.fragment_id, f.segment_id from fragment f
    where f.volume_id = $1 and f.fragment_id between lowest and highest
  ), edge as (
    select e.fragment_a, e.fragment_b, e.contact_area_px, e.mean_affinity, e.score from region_edge e
    where e.volume_id = $1 and e.z between $2 * 32 and $2 * 32 + 31
    union all
    select e.fragment_a, e.fragment_b, e.contact_area_px, e.mean_affinity, e.score from region_edge e
    where e.volume_id = $1 and e.fragment_a between lowest and highest and e.fragment_b > highest
  ), named as (
    -- Few ends are outside of the block.
    select e.*, a.fragment_id is not null as has_a, b.fragment_id is not null as has_b,
      coalesce(a.segment_id, (select f.segment_id from fragment f
        where f.volume_id = $1 and f.fragment_id = e.fragment_a)) as name_a,
      coalesce(b.segment_id, (select f.segment_id from fragment f
        where f.volume_id = $1 and f.fragment_id = e.fragment_b)) as name_b
    from edge e
    left join own a on a.fragment_id = e.fragment_a
    left join own b on b.fragment_id = e.fragment_b
  ), pair as materialized (
    select n.name_a, n.name_b, n.has_a, n.has_b, sum(n.contact_area_px) as area, count(*) as contacts,
      sum(n.mean_affinity::double precision * n.contact_area_px) as affinity_area, max(n.score) as best_score,
      min(n.fragment_a) as lowest, max(n.fragment_b) as highest
    from named n group by n.name_a, n.name_b, n.has_a, n.has_b
  )
  select s.name, s.other, sum(s.area)::bigint, sum(s.contacts)::integer, sum(s.affinity_area), max(s.best_score),
    (min(s.lowest) >> 50)::integer - 4096, (max(s.highest) >> 50)::integer - 4096
  from (
    select p.name_a as name, p.name_b as other, p.* from pair p where p.has_a
    union all
    select p.name_b, p.name_a, p.* from pair p where p.has_b and (p.name_a <> p.name_b or not p.has_a)
  ) s group by s.name, s.other;
end $$;
comment on function block_contacts is 'What segment_contact says of a block, from its edges; also which blocks they reach, for which contacts within a name are there too.';

create function summarise_contacts(volume_id integer, block integer, version integer) returns boolean
language plpgsql set search_path to fgnet, pg_temp set enable_seqscan to off set work_mem to '64MB' as $$
#variable_conflict use_column
declare
  reach record;
begin
  delete from segment_contact c where c.volume_id = $1 and c.block = $2;
  with found as materialized (select * from block_contacts($1, $2)), written as (
    insert into segment_contact (segment_id, other_id, contact_area_px, affinity_area, volume_id, block, version, contacts,
      best_score)
    select f.segment_id, f.other_id, f.contact_area_px, f.affinity_area, $1, $2, $3, f.contacts, f.best_score
    from found f where f.segment_id <> f.other_id order by f.segment_id, f.other_id
  )
  select least(min(f.first_block), $2) as lowest, greatest(max(f.last_block), $2) as highest into reach from found f;
  -- Last, as whatever else changes the row waits until this transaction ends.
  update contact_block c set is_complete = true, first_block = reach.lowest, last_block = reach.highest
  where c.volume_id = $1 and c.block = $2 and c.version = $3;
  return found;
end $$;
comment on function summarise_contacts is 'Sums up the contacts of a block that begin_contacts has noted. False if that is void, because of a change meanwhile: then nothing it wrote counts.';

revoke execute on function forget_contacts(integer, integer[], boolean) from public;
revoke execute on function begin_contacts(integer, integer) from public;
revoke execute on function summarise_contacts(integer, integer, integer) from public;
