-- The text, what it looks like, and what it speaks of: words that mean the same in any layout and from any hand. They are
-- counted here by topic, because a model of single words learns the phrases of the layouts that it has seen.
-- Sizes are logarithms; beyond 1,500 words length says nothing more. Booleans are categories: a rare one, as a number,
-- would be standardised to ten standard deviations.
WITH plain AS (
    SELECT *, regexp_replace(lower(text), '[^a-z0-9]+', ' ', 'g') AS w FROM text
),
cut AS (
    SELECT *, left(w, 1500) AS page, left(w, 400) AS opening FROM plain
)
SELECT
    document_id,
    text,
    kind,
    has_dates::VARCHAR AS has_dates,
    has_amounts::VARCHAR AS has_amounts,
    has_signature::VARCHAR AS has_signature,
    ln(1 + least(words, 1500)) AS log_words,
    ocr_confidence,
    table_share,
    ln(1 + n_sections) AS log_sections,
    -- What it calls itself, for each thousand words.
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(this|contract of|indenture of) (\w+ )?(lease|rental agreement|tenancy)\b')) / (50 + words)) AS this_lease,
    ln(1 + 1000 * len(regexp_extract_all(w, '\bthis (\w+ )?(amendment|modification|extension|renewal)\b')) / (50 + words)) AS this_amendment,
    ln(1 + 1000 * len(regexp_extract_all(w, '\bthis (\w+ )?(addendum|rider|supplement|attachment|exhibit|disclosure)\b')) / (50 + words)) AS this_addendum,
    -- Another contract that it speaks of.
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(the|that|said|original|existing|our|your|their|a) (\w+ )?(lease|rental (agreement|contract)|tenancy)\b')) / (50 + words)) AS the_lease,
    ln(1 + len(regexp_extract_all(page, '\b(lease|agreement|contract|indenture)( agreement| contract)? (dated?|made|identified|named|of (\d|(january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept|oct|nov|dec)))'))) AS lease_dated,
    -- What it does, in its first lines and on its first page.
    ln(1 + len(regexp_extract_all(opening, '\b(amend\w*|modif\w*|extension|renew\w*|changes? (of|to|in|that)|changed|changing|restat\w*|surrender|letter agreement)\b'))) AS opens_changing,
    ln(1 + len(regexp_extract_all(page, '\b(amend\w*|modif\w*|extension|renew\w*|changes? (of|to|in|that)|changed|changing|restat\w*|surrender|letter agreement)\b'))) AS changing,
    ln(1 + len(regexp_extract_all(opening, '\b(addend\w*|supplement\w*|riders?|attached to|attachment|annexed|exhibit|adds?|added|adding|addition|additional terms|guidelines)\b'))) AS opens_adding,
    ln(1 + len(regexp_extract_all(page, '\b(addend\w*|supplement\w*|riders?|attached to|attachment|annexed|exhibit|adds?|added|adding|addition|additional terms|guidelines)\b'))) AS adding,
    ln(1 + len(regexp_extract_all(opening, '\b(lease|rental agreement|rent|lets|leases)\b'))) AS opens_letting,
    ln(1 + len(regexp_extract_all(page, '\b(lets|let to|leases|demises?|rents (a|to|from)|letting|hires?|use of (the|a|store)|move in|possession|reserved)\b'))) AS letting,
    -- What it speaks of, for each thousand words.
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(security deposit|quiet enjoyment|sublet\w*|(monthly|base|minimum|annual) rent|late (charge|fee)|hold(ing)? ?over|utilities|repairs?|insurance|default|alterations|casualty|keys)\b')) / (50 + words)) AS terms_of_lease,
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(full force|remains? in (force|effect)|unchanged|ratif\w*|conflicts?|differ|controls?|prevails?|governs|(all )?other (terms|provisions)|otherwise|supersed\w*)\b')) / (50 + words)) AS unchanged,
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(delet\w+|replac\w+|extended|expan\w+|instead of|chang(ed|es|ing)|amended|increased|reduced|is now|the new|present|whereas|recitals)\b')) / (50 + words)) AS changed,
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(pets?|animals?|parking|stall|mold|lead based|smok\w+|pool|co signer|storage|detectors?|house rules|association|submeter\w*|satellite|bed bugs?|insurance requirement)\b')) / (50 + words)) AS subjects_of_addenda,
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(landlord|lessor|tenant|lessee|premises|rent|resident|renter|owner)\b')) / (50 + words)) AS lease_parties,
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(cam|common area|operating (expense|cost)s?|reconcil\w*|pro rata|share of|recover\w*|gross leasable)\b')) / (50 + words)) AS shared_costs,
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(actual|estimate[ds]?|balance due|amount due|billed|paid|credit|variance|total)\b')) / (50 + words)) AS settled,
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(shall|must|may not|will)\b')) / (50 + words)) AS duties,
    ln(1 + 1000 * len(regexp_extract_all(w, '\b(seller|buyer|purchaser?|vendor|client|employ\w*|licens\w*|borrower|lender|customer|supplier|distributor|contractor|guarantor|guarant\w+)\b')) / (50 + words)) AS other_parties,
    -- Papers that are no contracts.
    ln(1 + len(regexp_extract_all(page, '\b(certif\w*|notice|minutes|invoice|report|memo|resolved|policy|budget|inventory|receipt|application|applicant|inspect\w*|objection|audit|roll)\b'))) AS other_papers
FROM cut
