-- Database users for the roles of `workstation serve`, each with no more than its work needs.
--
-- Run it as the owner of the tables, who may make users (CREATEROLE), in the site's database, after `workstation upgrade`
-- has made the tables, and again after every upgrade:
--
--     psql --set ON_ERROR_STOP=1 --file roles.sql "postgresql://workstation@db.example/workstation?sslmode=verify-full"
--
-- Then give each a password (\password workstation_receive). The owner is for `upgrade`, `restore` and this file alone.
-- Everybody reads everything: a decision rests on all of it. Nobody but the owner changes or removes what is
-- append-only, and triggers hold the owner back as well.

DO $$
DECLARE
    each text;
BEGIN
    FOREACH each IN ARRAY ARRAY['receive', 'decide', 'deliver', 'prepare', 'web', 'work', 'backup'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'workstation_' || each) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', 'workstation_' || each);
        END IF;
    END LOOP;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM
    workstation_receive, workstation_decide, workstation_deliver, workstation_prepare, workstation_web, workstation_work,
    workstation_backup;
GRANT USAGE ON SCHEMA public TO
    workstation_receive, workstation_decide, workstation_deliver, workstation_prepare, workstation_web, workstation_work,
    workstation_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO
    workstation_receive, workstation_decide, workstation_deliver, workstation_prepare, workstation_web, workstation_work,
    workstation_backup;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO
    workstation_receive, workstation_decide, workstation_deliver, workstation_prepare, workstation_web, workstation_work;
-- pg_dump reads where sequences stand.
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO workstation_backup;

-- Claims on work: everybody's.
GRANT INSERT, UPDATE, DELETE ON lease TO
    workstation_receive, workstation_decide, workstation_deliver, workstation_prepare, workstation_web, workstation_work,
    workstation_backup;

-- Receives: the index of instances, news of them, answers to storage commitment, and what is to be decided after these.
GRANT INSERT, UPDATE, DELETE ON instance, catalogue TO workstation_receive;
GRANT INSERT ON news, due, commitment_answered, attempt TO workstation_receive;
GRANT INSERT, UPDATE, DELETE ON commitment_asked, commitment_answered, unfinished TO workstation_receive;

-- Files, hears HL7 and decides: the casebook, charges and their messages. Not the journal, people or papers.
GRANT INSERT ON received, concern, refused, record, decision, ledger, message, attempt, charge, credit, charge_event,
    series_completion TO workstation_decide;
GRANT INSERT, UPDATE, DELETE ON due, news, catalogue, instance, unfinished TO workstation_decide;

-- Delivers: what came of each attempt, and storage commitment.
GRANT INSERT ON attempt, due TO workstation_deliver;
GRANT INSERT, UPDATE, DELETE ON unfinished, commitment_asked, commitment_answered, commitment_offered TO workstation_deliver;

-- Prepares: its own list, and the index of instances, where a prior comes by C-GET or DICOMweb.
GRANT INSERT, UPDATE, DELETE ON preparation, preparation_asked, fetched_prior, catalogue, instance TO
    workstation_prepare;

-- The console: what people decide, who may work here, and what it keeps between two requests. Not the journal: no record
-- of a session is written by a browser.
GRANT INSERT ON received, concern, refused, record, decision, ledger, message, attempt, charge, credit, charge_event,
    act, person, series_completion TO workstation_web;
GRANT INSERT, UPDATE, DELETE ON console_session, sign_in_attempt, saved_view, presence, result_link, due, news,
    instance, catalogue, unfinished, preparation, preparation_asked, fetched_prior TO workstation_web;

-- Desktops and the command line, where people act.
GRANT INSERT ON received, concern, refused, record, decision, ledger, message, attempt, charge, credit, charge_event,
    series_completion, event, act, papers, person TO workstation_work;
GRANT INSERT, UPDATE, DELETE ON due, news, instance, catalogue, unfinished, commitment_asked, commitment_answered,
    commitment_offered, preparation, preparation_asked, fetched_prior, result_link, console_session TO workstation_work;
