-- What the made-up history is made from. Goes again before anything is measured.
drop schema if exists made cascade;
create schema made;

create table made.shape (
  sections integer not null, edits integer not null, mean_length double precision not null, orphans double precision not null,
  mean_delay double precision not null
);
comment on table made.shape is 'One row: sections, operations of people, mean sections of a piece, share of pieces that the daemon joins to nothing, mean sections until it joins the others.';

-- A column is a cell of the pattern through all sections: label column + 1 in each of them.
create table made.column (
  number integer primary key, spine integer not null, cut double precision not null
);
comment on table made.column is 'Columns; the one that its bundle hangs together by, and the probability with which a bundle ends at a section.';

create table made.pattern_fragment (
  parity integer not null, label integer not null, area_px bigint not null, min_y integer not null, min_x integer not null,
  max_y integer not null, max_x integer not null, centroid_y double precision not null, centroid_x double precision not null
);
create table made.pattern_edge (
  parity integer not null, kind text not null, label_a integer not null, label_b integer not null, contact_area_px integer not null
);
create table made.pattern_tile (
  parity integer not null, min_y integer not null, min_x integer not null, height_px integer not null, runs bytea not null
);

create function made.uniform(a integer, b integer, seed bigint) returns double precision
language sql immutable parallel safe
return (hashint8extended((a::bigint << 32) | b, seed) & 2147483647) / 2147483648.0::double precision;

create function made.id(z integer, label integer) returns bigint
language sql immutable parallel safe
return ((z + 131072)::bigint << 45) | (((z * 7919 + 13) & 4194303)::bigint << 23) | label;
